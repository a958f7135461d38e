#include "grapes/credit/rule.h"

#include "grapes/base/text.h"
#include "grapes/credit/modulation.h"
#include "grapes/credit/route.h"

#include <c10/util/Exception.h>

#include <string>
#include <utility>

namespace grapes::credit {

Rule plain(std::string route) {
  Rule rule;
  rule.route = std::move(route);
  rule.modulation = "none";
  return rule;
}

Rule resolved(Rule rule) {
  const Route& route = route_of(rule);
  const std::string fault = fault_of(modulation_of(rule), rule.constants);
  TORCH_CHECK_VALUE(fault.empty(), fault);
  if (rule.responsibility == Responsibility::by_route) rule.responsibility = route.responsibility;
  if (rule.clip.kind == Clip::Kind::by_route) rule.clip.kind = route.clipped ? Clip::Kind::range : Clip::Kind::none;
  if (rule.clip.kind == Clip::Kind::none) rule.clip = {Clip::Kind::none, 0, rule.gain};
  TORCH_CHECK_VALUE(rule.gain > 0 && rule.clip.low >= 0 && rule.clip.low <= rule.clip.high,
                    "gain must be above 0, and clip must satisfy 0 <= low <= high; got ", shortest(rule.gain), " and [",
                    shortest(rule.clip.low), ", ", shortest(rule.clip.high), "]");
  TORCH_CHECK_VALUE(rule.every >= 1, "every must be at least 1; got ", rule.every);
  return rule;
}

}  // namespace grapes::credit
