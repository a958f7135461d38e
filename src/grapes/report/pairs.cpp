#include "grapes/report/pairs.h"

#include "grapes/report/statistics.h"

#include <map>
#include <utility>

namespace grapes::report {
using record::Json;

Json spread(const std::vector<double>& x) {
  if (x.empty()) return nullptr;
  const auto interval = mean_interval(x);
  return {{"n", x.size()},
          {"mean", mean(x)},
          {"sd", standard_deviation(x)},
          {"interval", interval ? Json::array({interval->low, interval->high}) : Json()}};
}

Json paired(const std::string& arm, const std::vector<Sample>& own, const std::string& base,
            const std::vector<Sample>& others) {
  std::map<std::pair<std::uint64_t, std::string>, double> partners;
  for (const Sample& other : others) partners[{other.seed, other.pairing}] = other.value;
  std::vector<double> each;
  std::vector<std::uint64_t> seeds;
  for (const Sample& one : own)
    if (const auto partner = partners.find({one.seed, one.pairing}); partner != partners.end()) {
      each.push_back(one.value - partner->second);
      seeds.push_back(one.seed);
    }
  Json result = {{"arm", arm},      {"against", base},    {"n", each.size()}, {"unpaired", own.size() - each.size()},
                 {"each", each},    {"seeds", seeds},     {"p", nullptr},     {"p_holm", nullptr},
                 {"mean", nullptr}, {"interval", nullptr}};
  if (const Json numbers = spread(each); !numbers.is_null()) result.update(numbers);
  if (each.size() < 2) return result;
  if (const auto p = wilcoxon(each)) result["p"] = *p;
  return result;
}

void correct(std::vector<Json*> family) {
  std::erase_if(family, [](const Json* comparison) { return (*comparison)["p"].is_null(); });
  std::vector<double> p;
  p.reserve(family.size());
  for (const Json* comparison : family) p.push_back((*comparison)["p"]);
  const std::vector<double> corrected = holm(p);
  for (std::size_t i = 0; i < family.size(); ++i) (*family[i])["p_holm"] = corrected[i];
}

}  // namespace grapes::report
