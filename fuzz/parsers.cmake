# What libFuzzer's targets are made of: the sources that read foreign bytes and what those need, and no more. The
# rooms are not built: clang 14 can't compile Boost.Asio 1.74's coroutines (net's connections), and a whole build
# under three sanitizers would take a quarter of an hour. An undefined symbol when a target is linked: add its file.
set(src ${PROJECT_SOURCE_DIR}/src)
configure_file(${src}/base/version.h.in ${PROJECT_BINARY_DIR}/generated/base/version.h @ONLY)
# Six of a room are compiled together, since reading headers is most of their work (cmake/rooms.cmake). APART: those that
# use a name that a neighbour uses too.
function(pmt_parsers room)
  cmake_parse_arguments(A "" "" "APART" ${ARGN})
  list(TRANSFORM A_UNPARSED_ARGUMENTS PREPEND ${src}/${room}/)
  list(TRANSFORM A_APART PREPEND ${src}/${room}/)
  set(at 0)
  foreach(source IN LISTS A_UNPARSED_ARGUMENTS)
    math(EXPR group "${at} / 6")
    math(EXPR at "${at} + 1")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${room}${group})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY PMT_PARSERS ${A_UNPARSED_ARGUMENTS} ${A_APART})
endfunction()

pmt_parsers(base cholesky.cpp file.cpp guard.cpp hash.cpp hex.cpp json.cpp json_fields.cpp json_text.cpp openssl_reason.cpp percent.cpp result.cpp usage_counter.cpp)
pmt_parsers(llm engine_options.cpp event.cpp json_sum.cpp usage.cpp)
pmt_parsers(net content_coding.cpp host.cpp http.cpp request_parser.cpp response_parser.cpp
  sse.cpp target.cpp url.cpp
  APART response_head.cpp)
pmt_parsers(telemetry trace_context.cpp)
pmt_parsers(redis cluster_replies.cpp connection.cpp reply.cpp tls.cpp url.cpp)
pmt_parsers(response_cache store/canonical_json.cpp store/canonical_key.cpp store/entry_codec.cpp
  store/entry_record.cpp store/event_codec.cpp store/eviction_policy.cpp store/invalidation.cpp shared/redis_replies.cpp semantic/semantic_rule.cpp semantic/semantic_text.cpp
  shared/shared_value.cpp)
pmt_parsers(knowledge_cache documents/document.cpp documents/documents.cpp options_reader.cpp packs/domain.cpp packs/fact.cpp packs/pack.cpp)
pmt_parsers(sandbox frame.cpp)
pmt_parsers(text bm25.cpp calendar.cpp claims.cpp difference.cpp english.cpp html.cpp numbers.cpp opposites.cpp passages.cpp phrases.cpp plain_words.cpp
  roles.cpp sentences.cpp slots.cpp stems.cpp stop_words.cpp tasks.cpp term.cpp words.cpp
  APART question.cpp)
pmt_parsers(upstream answer_logprobs.cpp answer_reader.cpp call_reader.cpp chat_words.cpp event_reader.cpp foreign_json.cpp
  messages/message_body.cpp messages/message_reader.cpp
  upstream_error.cpp usage_reader.cpp
  APART responses/response_body.cpp responses/response_reader.cpp)
pmt_parsers(api access.cpp completions/cache_control.cpp cors.cpp day_spending.cpp errors.cpp
  host_check.cpp json/json_reader.cpp json/json_writer.cpp json/parse.cpp json/parse_extension.cpp
  json/parse_messages.cpp json/parse_other_servers.cpp json/parse_tools.cpp rate_limit.cpp request_body.cpp routes/supported.cpp
  APART json/cache_entry_json.cpp)
pmt_parsers(rlm custom_tool.cpp ledger.cpp options_reader.cpp rlm_request.cpp watch.cpp tables/cell_values.cpp tables/delimited_table.cpp
  tables/json_table.cpp tables/log_table.cpp tables/markdown_tables.cpp tables/recogniser.cpp tables/select_grammar.cpp tables/sentence_table.cpp
  tables/table_database.cpp tables/table_linker.cpp tables/table_loader.cpp tables/table_planner.cpp tables/table_question.cpp
  tables/table_survey.cpp)
pmt_parsers(pipeline options_reader.cpp unified_request.cpp)
pmt_parsers(app wiring/engine_options.cpp config/config.cpp config/config_reader.cpp config/config_service.cpp config/engine_config.cpp
  config/rlm_config.cpp config/shared_cache_config.cpp config/upstream_config.cpp)
pmt_parsers(model gbnf.cpp gbnf_check.cpp gguf_preflight.cpp marker_grammar.cpp schema_grammar.cpp schema_limits.cpp
  schema/char_set.cpp schema/gbnf_writer.cpp schema/number_grammar.cpp schema/regex.cpp
  schema/schema_array.cpp schema/schema_compiler.cpp schema/schema_merge.cpp schema/schema_object.cpp
  schema/schema_string.cpp schema/string_format.cpp
  APART schema/regex_parser.cpp)
pmt_parsers(compression calibration_state.cpp)
pmt_parsers(inference call_reader.cpp cell_type.cpp options_reader.cpp
  APART structured_output.cpp)

get_property(sources GLOBAL PROPERTY PMT_PARSERS)
include(${PROJECT_SOURCE_DIR}/cmake/embedded_files.cmake)
pmt_english(english)
add_library(pmt_parsers STATIC ${sources} ${english})
set_target_properties(pmt_parsers PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
target_include_directories(pmt_parsers PUBLIC ${src} ${PROJECT_BINARY_DIR}/generated)
target_link_libraries(pmt_parsers PUBLIC nlohmann_json::nlohmann_json simdjson::simdjson fmt::fmt spdlog::spdlog
  OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB ${PMT_ZSTD} Boost::headers tomlplusplus::tomlplusplus ${PMT_HIREDIS} ${PMT_SQLITE} ${PMT_UTF8PROC} Threads::Threads ggml)

target_compile_options(pmt_parsers PRIVATE -ffunction-sections)
target_link_options(pmt_parsers PUBLIC -Wl,--gc-sections)
