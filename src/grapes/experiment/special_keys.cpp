#include "grapes/experiment/special_keys.h"

#include "grapes/credit/modulation.h"
#include "grapes/experiment/key_kinds.h"

#include <optional>

namespace grapes::experiment {

Key modulation_key() {
  const Choices choices = names(credit::modulations());
  return {"modulation",
          "rule",
          "what happens to the error at the hidden nodes; constant:C1,C2,... names its factors",
          alternatives(choices),
          Kind::text,
          [](const Config& config) {
            const credit::Rule& rule = config.network.rule;
            return rule.modulation + (rule.constants.empty() ? "" : ":" + numbers_text(rule.constants));
          },
          [=](Config& config, std::string_view value) {
            credit::Rule& rule = config.network.rule;
            const std::size_t colon = value.find(':');
            const std::string name = find_row(choices, "modulation", value.substr(0, colon)).name;
            const std::string takes = "constant:NUMBER > 0[,NUMBER > 0...], and numbers only after constant";
            if ((name == "constant") != (colon != std::string_view::npos)) refuse("modulation", value, takes);
            rule.constants.clear();
            if (name == "constant")
              rule.constants = numbers_from("modulation", value, value.substr(colon + 1), above(0), takes);
            rule.modulation = name;
          }};
}

Key factor_bits_key() {
  const std::string takes = "exact|WHOLE NUMBER >= 0, <= 16";
  return {"factor-bits",
          "rule",
          "of the factor's fraction, in which it is rounded; 2: 1, 1.25, ... 2; 0: 1 or 2, a shift",
          takes,
          Kind::text,
          [](const Config& config) {
            const int bits = config.network.rule.factor_bits;
            return bits < 0 ? std::string("exact") : std::to_string(bits);
          },
          [=](Config& config, std::string_view value) {
            const auto bits = value == "exact" ? std::optional<long long>(-1) : to_integer(value);
            if (!bits || *bits > 16 || (*bits < 0 && value != "exact")) refuse("factor-bits", value, takes);
            config.network.rule.factor_bits = static_cast<int>(*bits);
          }};
}

Key clip_key() {
  using credit::Clip;
  const std::string takes = "by-route|none|LOW,HIGH";
  return {"clip",
          "rule",
          "range that factors are clipped to; by-route: as the authors' program does on this route",
          takes,
          Kind::text,
          [](const Config& config) {
            const Clip& clip = config.network.rule.clip;
            if (clip.kind == Clip::Kind::range) return numbers_text({clip.low, clip.high});
            return std::string(clip.kind == Clip::Kind::none ? "none" : "by-route");
          },
          [=](Config& config, std::string_view value) {
            Clip& clip = config.network.rule.clip;
            if (value == "by-route" || value == "none") {
              clip.kind = value == "none" ? Clip::Kind::none : Clip::Kind::by_route;
              return;
            }
            const std::vector<double> range = numbers_from("clip", value, value, at_least(0), takes);
            if (range.size() != 2 || range[0] > range[1]) refuse("clip", value, takes);
            clip = {Clip::Kind::range, range[0], range[1]};
          }};
}

Key device_key() {
  const std::string takes = "cpu|cuda|cuda:NUMBER";
  return {
      "device",
      "machine",
      "where weights and arithmetic are",
      takes,
      Kind::text,
      [](const Config& config) { return config.network.device; },
      [=](Config& config, std::string_view value) {
        const std::string_view cuda = value.substr(0, 5);
        if (value != "cpu" && value != "cuda" && !(cuda == "cuda:" && to_integer(value.substr(5)).value_or(-1) >= 0))
          refuse("device", value, takes);
        config.network.device = value;
      }};
}

Key arms_key() {
  return {"arms",
          "compare",
          "what is compared: ROUTE, MODULATION, ROUTE+MODULATION, with tasks METHOD+..., or an arm of one's own",
          "ARM,ARM,...",
          Kind::texts,
          [](const Config& config) { return join(config.compare.arms, ","); },
          [](Config& config, std::string_view value) {
            std::vector<std::string> arms;
            for (const std::string& piece : split(value, ',')) {
              const std::string arm(trim(piece));
              if (arm.empty()) refuse("arms", value, "ARM,ARM,...");
              if (!arms.empty() && to_double(arm))
                arms.back() += "," + arm;  // constant:1.85,1.79 is one arm
              else
                arms.push_back(arm);
            }
            config.compare.arms = arms;
          }};
}

Key grid_key() {
  return {"grid",
          "compare",
          "learning rates that tune tries",
          "NUMBER > 0,...",
          Kind::numbers,
          [](const Config& config) { return numbers_text(config.compare.grid); },
          [](Config& config, std::string_view value) {
            config.compare.grid = numbers_from("grid", value, value, above(0), "NUMBER > 0,...");
          }};
}

Key sweep_values_key() {
  return {"sweep-values",
          "compare",
          "what goes in place of {} in sweep",
          "NUMBER,...",
          Kind::numbers,
          [](const Config& config) { return numbers_text(config.compare.sweep_values); },
          [](Config& config, std::string_view value) {
            config.compare.sweep_values.clear();
            if (!value.empty())
              config.compare.sweep_values =
                  numbers_from("sweep-values", value, value, {"", [](double) { return true; }}, "NUMBER,...");
          }};
}

}  // namespace grapes::experiment
