/* Asks the model a request of OpenAI's API and prints the events of its answer as they come, one a line.
 *
 *   ask '{"model": "permutation", "stream": true, "messages": [{"role": "user", "content": "Who are you?"}]}'
 *   ask REQUEST CONFIG.toml
 */
#include <permutation/permutation.h>
#include <stdio.h>
#include <string.h>

static int print_event(void* user, const char* event, size_t size) {
  (void)user;
  /* Not 0 where our reader has left: the model stops. */
  return fwrite(event, 1, size, stdout) != size || putchar('\n') == EOF || fflush(stdout) != 0;
}

static int fail(const permutation_error* error) {
  fprintf(stderr, "ask: %s\n", error->message);
  return 1;
}

int main(int argc, char** argv) {
  permutation_engine* engine = NULL;
  permutation_error error;
  int code;
  if (argc < 2) {
    fprintf(stderr, "usage: ask REQUEST [CONFIG.toml]\n");
    return 2;
  }
  code = argc > 2 ? permutation_engine_open_file(argv[2], &engine, &error)
                  : permutation_engine_open(NULL, 0, &engine, &error);
  if (code != PERMUTATION_OK) return fail(&error);
  code = permutation_stream(engine, NULL, argv[1], strlen(argv[1]), print_event, NULL, &error);
  permutation_engine_close(engine);
  return code == PERMUTATION_OK ? 0 : fail(&error);
}
