#include "app/config/engine_config.h"

#include "app/config/config_reader.h"

namespace pmt::app {

base::Result<EngineConfig> read_engine(const toml::table& table, const std::string& file) {
  using permutation::Escalation;
  constexpr NumberRange kShare{.min = 0, .max = 1};
  TableReader reader(table, "[permutation]", file);
  EngineConfig out;
  reader.text("student", out.student);
  reader.text("teacher", out.teacher);
  reader.one_of("escalation", out.cascade.policy.escalation,
                {{"never", Escalation::kNever},
                 {"always", Escalation::kAlways},
                 {"confidence", Escalation::kConfidence}});
  reader.number("confidence_min", out.cascade.policy.confidence_min, kShare);
  reader.integer("probe_tokens", out.cascade.policy.probe_tokens, {.min = 0, .max = 4096});
  reader.number("student_probability_min", out.cascade.policy.student_probability_min, kShare);
  reader.integer("agreement_samples", out.cascade.policy.agreement_samples, {.min = 0, .max = 8});
  reader.number("explore", out.cascade.explore, kShare);
  reader.boolean("synthesis", out.cascade.policy.synthesis);
  reader.number("kv_ratio", out.cascade.kv_ratio, {.min = 0, .max = 64});
  TRY(reader.finish());
  return out;
}

}  // namespace pmt::app
