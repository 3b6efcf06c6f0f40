/* libpermutation: the engine and its caches inside of a program, without a server. For C and for any language that can
 * call C; permutation.hpp is the same for C++.
 *
 *   permutation_engine* engine = NULL;
 *   permutation_error error;
 *   if (permutation_engine_open(NULL, 0, &engine, &error) != PERMUTATION_OK) ...error.message...
 *   const char ask[] = "{\"model\": \"permutation\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}";
 *   permutation_text answer;
 *   if (permutation_complete(engine, ask, sizeof ask - 1, &answer, &error) == PERMUTATION_OK) puts(answer.data);
 *   permutation_text_free(&answer);
 *   permutation_engine_close(engine);
 *
 * Requests and answers are those of the server, as JSON: its OpenAPI document describes all members.
 *
 * Texts. What goes in is `data` and `size`, UTF-8 without an end mark (what the comment calls a name is ended by a
 * zero); it is copied before the call returns. What comes out as a permutation_text is the caller's, until
 * permutation_text_free.
 * Errors. Every function that can fail returns a code. `error` may be NULL; where it is given, it is filled on every
 * failure, and left alone otherwise. A failure leaves outputs empty and changes nothing, but where it is said.
 * Threads. Every function may be called from any thread at any time, also while another thread closes the handle.
 * Handles. A handle that was closed, that is NULL, or that was opened before a fork() by the parent is answered by
 * PERMUTATION_CLOSED, however often. (The 64 bytes of a handle are kept until the process ends, so this is safe.)
 * Handles may be closed in any order. Several engines may be open at once; they share nothing but the log.
 * Callbacks run on the thread that called. They may call everything here but the two close functions, which answer
 * PERMUTATION_REFUSED there. One that takes long delays its own caller only. One that throws (C++) ends its request:
 * PERMUTATION_CALLBACK.
 * Signals. The library's threads take none, and no handler is set. A program whose engine has a sandbox (rlm) or
 * [cache.shared] should ignore SIGPIPE.
 * dlclose() leaves the library mapped.
 * The log. Warnings and errors go to stderr; [log] of the first configuration that is opened says otherwise. A
 * program that has set spdlog's default logger gets the lines there.
 */
#ifndef PERMUTATION_PERMUTATION_H
#define PERMUTATION_PERMUTATION_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PERMUTATION_API __attribute__((visibility("default")))
#else
#define PERMUTATION_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a program must be compiled anew. Functions and codes are added without that. */
#define PERMUTATION_ABI 1

/* PERMUTATION_ABI of the library that is loaded. */
PERMUTATION_API int permutation_abi(void);
/* "0.1.0"; static. */
PERMUTATION_API const char* permutation_version(void);

enum {
  PERMUTATION_OK = 0,
  PERMUTATION_END = 1, /* no failure: there is no further event */
  PERMUTATION_INVALID =
      2, /* the caller gave what can't be right: NULL, bad JSON, bad UTF-8, an unknown member */
  PERMUTATION_NOT_FOUND = 3, /* no such model, domain, call or entry */
  PERMUTATION_TOO_LARGE = 4, /* more than fits */
  PERMUTATION_REFUSED = 5,   /* well-formed, but not possible as things are */
  PERMUTATION_BUSY = 6,      /* try again later */
  PERMUTATION_CANCELLED = 7,
  PERMUTATION_TIMEOUT = 8,
  PERMUTATION_UPSTREAM = 9,  /* another server answered nonsense, or broke off */
  PERMUTATION_CLOSED = 10,   /* the handle is closed, NULL, or the parent's */
  PERMUTATION_CALLBACK = 11, /* the callback threw */
  PERMUTATION_IO = 12,       /* a file could not be read or written */
  PERMUTATION_INTERNAL = 13  /* a fault of the library, or no memory */
};

/* What went wrong, and what to do; both texts are ended by a zero and cut at a whole character. */
typedef struct permutation_error {
  int code;
  char field[64]; /* the member of the request or the configuration at fault, "" if none */
  char message[1024];
} permutation_error;

/* A text that the library made. `data` is never NULL after a success, and has a zero after its `size` bytes. */
typedef struct permutation_text {
  const char* data;
  size_t size;
  void* owner;
} permutation_text;

/* Frees it and makes it empty; an empty one and NULL are taken. Requires: one thread at a time for one text. */
PERMUTATION_API void permutation_text_free(permutation_text* text);

/* ---- the engine --------------------------------------------------------------------------------------------- */

typedef struct permutation_engine permutation_engine;

/* Opens models and caches. `config`: the text of a configuration file as the server takes it, in TOML; size 0: the
 * catalogue's default model. [server], [[key]] and [dashboard] have no effect: who calls here may do everything.
 * Cost: loads the models: 0.3 s for the default one. Errors: INVALID (names file, line and key), NOT_FOUND. */
PERMUTATION_API int permutation_engine_open(const char* config, size_t size, permutation_engine** engine,
                                            permutation_error* error);
/* The same from a file; `path` is a name. */
PERMUTATION_API int permutation_engine_open_file(const char* path, permutation_engine** engine,
                                                 permutation_error* error);
/* Cancels what runs, waits for its end, frees the models. A call that another thread waits in returns
 * PERMUTATION_CANCELLED or PERMUTATION_CLOSED. The engine's cache lives on in the handles that
 * permutation_engine_cache gave. Errors: CLOSED, REFUSED (inside of a callback). */
PERMUTATION_API int permutation_engine_close(permutation_engine* engine);

/* Answers a chat request of OpenAI's API and waits for it. `answer`: a chat.completion. Errors: INVALID also for
 * "stream": true. Cost: the model's, and some 15 us; an answer from the cache some 15 us in all. */
PERMUTATION_API int permutation_complete(permutation_engine* engine, const char* request, size_t size,
                                         permutation_text* answer, permutation_error* error);

/* Called with each event; `event` is valid until it returns. Non-zero: no more is wanted, the request is cancelled. */
typedef int (*permutation_on_event)(void* user, const char* event, size_t size);

/* The same, with each event as it comes: chunks (chat.completion.chunk) where the request says "stream": true, else
 * the whole answer. `path`: a name, the endpoint, or NULL for "/v1/chat/completions"; "/v1/responses" and
 * "/v1/messages" stream, too. Returns when the last event was given. Errors: CANCELLED (by the callback's answer),
 * CALLBACK. An event that was given stays given. */
PERMUTATION_API int permutation_stream(permutation_engine* engine, const char* path, const char* request,
                                       size_t size, permutation_on_event on_event, void* user,
                                       permutation_error* error);

/* The same in steps, for who has a loop of its own: the number of a request that runs; never 0, never used again. */
typedef uint64_t permutation_call;

/* Begins and returns at once. Every failure of the request comes from permutation_next. */
PERMUTATION_API int permutation_start(permutation_engine* engine, const char* path, const char* request,
                                      size_t size, permutation_call* call, permutation_error* error);
/* Waits for the next event. `timeout_s` < 0: as long as it takes. PERMUTATION_END: that was all. TIMEOUT leaves the
 * call as it is; after END and every other failure its number is no more (NOT_FOUND). One thread at a time gets each
 * event. */
PERMUTATION_API int permutation_next(permutation_engine* engine, permutation_call call, double timeout_s,
                                     permutation_text* event, permutation_error* error);
/* Its model stops soon, and permutation_next answers PERMUTATION_CANCELLED. */
PERMUTATION_API int permutation_cancel(permutation_engine* engine, permutation_call call);
/* Cancels it and forgets its events: who stops asking for the next must call this. */
PERMUTATION_API int permutation_end(permutation_engine* engine, permutation_call call);

/* Any other endpoint of the server: embeddings, tokenizing, models, the cache's lists, figures. `method` and
 * `target` ("/v1/models", with a query or without) are names; `body` may be empty. `answer`: the body. */
PERMUTATION_API int permutation_request(permutation_engine* engine, const char* method, const char* target,
                                        const char* body, size_t size, permutation_text* answer,
                                        permutation_error* error);

/* ---- figures: JSON objects. Cost: reading counters. --------------------------------------------------------- */

/* Which cache is used where. */
PERMUTATION_API int permutation_audit(permutation_engine* engine, permutation_text* json,
                                      permutation_error* error);
/* What the models' keys and values take, and what compression and reuse saved. */
PERMUTATION_API int permutation_kv(permutation_engine* engine, permutation_text* json,
                                   permutation_error* error);

/* ---- what a model is taught. `domain` is a name. ------------------------------------------------------------ */

/* Teaches facts and waits: {"facts": [{"prompt", "answer", "paraphrases"}]}, or a JSON object a line. `report`: what
 * was learnt, recalled and refused; may be NULL. Cost: milliseconds a fact. */
PERMUTATION_API int permutation_learn(permutation_engine* engine, const char* domain, const char* facts,
                                      size_t size, permutation_text* report, permutation_error* error);
/* Forgets one fact by its id, or with NULL the domain. */
PERMUTATION_API int permutation_forget(permutation_engine* engine, const char* domain, const char* fact_id,
                                       permutation_error* error);
/* The facts of a domain with their ids, or with NULL the domains. */
PERMUTATION_API int permutation_knowledge(permutation_engine* engine, const char* domain,
                                          permutation_text* json, permutation_error* error);

/* ---- the response cache ------------------------------------------------------------------------------------- */

typedef struct permutation_cache permutation_cache;

/* A cache by itself, in front of anything: no model is loaded. `config`: as above, of which [cache] counts: its limits,
 * its folder, its Redis. */
PERMUTATION_API int permutation_cache_open(const char* config, size_t size, permutation_cache** cache,
                                           permutation_error* error);
/* The engine's own. */
PERMUTATION_API int permutation_engine_cache(permutation_engine* engine, permutation_cache** cache,
                                             permutation_error* error);
/* What [cache] path keeps is on the disk when this returns, of the last handle. Errors: CLOSED, REFUSED. */
PERMUTATION_API int permutation_cache_close(permutation_cache* cache);

/* What an entry is found by. */
typedef struct permutation_key {
  uint8_t bytes[32];
} permutation_key;

/* Of any bytes: what was asked, with all that the answer depends on. The same as the server's
 * /v1/cache/entries/NAME. NULL with a size gives the key of nothing. Cost: a SHA-256, some 0.3 us. */
PERMUTATION_API permutation_key permutation_cache_key(const void* name, size_t size);

typedef struct permutation_entry {
  permutation_text value;
  int64_t tokens; /* what computing it took */
  double usd;     /* the same in dollars */
  double age_s;
} permutation_entry;

/* Finds what was stored, in memory or on the disk; the caller frees `value`. It stays whole, whatever becomes of the
 * entry. A value that isn't text (another JSON value, a model's answer) comes as JSON. Errors: NOT_FOUND, CLOSED,
 * INVALID. Cost: some 0.1 us, and no copy, for a text in memory. */
PERMUTATION_API int permutation_cache_get(permutation_cache* cache, const permutation_key* key,
                                          permutation_entry* entry);
/* The same into the caller's own memory: at most `capacity` bytes, without an end mark; `size`: how many there are.
 * TOO_LARGE, with `size` set, where they don't fit. Nothing is to be freed. */
PERMUTATION_API int permutation_cache_read(permutation_cache* cache, const permutation_key* key, char* buffer,
                                           size_t capacity, size_t* size);

/* Zero in every member is the default; set `size` to sizeof. */
typedef struct permutation_store_options {
  size_t size;
  int64_t tokens;
  double usd;        /* what keeping it saves: dearer entries stay longer */
  double seconds;    /* the same in time */
  double ttl_s;      /* how long it lives; 0: until it is evicted */
  const char* model; /* names, or NULL */
  const char* tag;
} permutation_store_options;

/* Keeps a text (UTF-8) under the key, in place of what was there. `options` may be NULL. Errors: INVALID, TOO_LARGE;
 * the entry before stays then. */
PERMUTATION_API int permutation_cache_store(permutation_cache* cache, const permutation_key* key,
                                            const char* value, size_t size,
                                            const permutation_store_options* options,
                                            permutation_error* error);
/* Errors: NOT_FOUND. */
PERMUTATION_API int permutation_cache_remove(permutation_cache* cache, const permutation_key* key);
/* {"lookups", "hits", "misses", "entries", "bytes", "tokens_saved", "usd_saved", ...} */
PERMUTATION_API int permutation_cache_stats(permutation_cache* cache, permutation_text* json,
                                            permutation_error* error);

#ifdef __cplusplus
}
#endif

#endif
