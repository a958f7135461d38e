#include "grapes/credit/attachment.h"

#include "grapes/credit/rule.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <sstream>

namespace grapes {

std::string to_string(Attachment::State state) {
  switch (state) {
    case Attachment::State::modulated:
      return "modulated";
    case Attachment::State::local:
      return "local";
    case Attachment::State::output:
      return "output";
    case Attachment::State::excluded:
      return "excluded";
    case Attachment::State::frozen:
      return "frozen";
    case Attachment::State::unmatched:
      break;
  }
  return "unmatched";
}

std::string describe(const credit::Rule& rule, const std::vector<Attachment>& attachments) {
  std::ostringstream table;
  table << rule.modulation;
  for (std::size_t i = 0; i < rule.constants.size(); ++i) table << (i == 0 ? ":" : ",") << rule.constants[i];
  table << ": gain " << rule.gain << ", clip [" << rule.clip.low << ", " << rule.clip.high << "], "
        << (rule.responsibility == credit::Responsibility::input ? "input" : "incoming") << " responsibility\n";
  std::size_t width = 0;
  for (const Attachment& attachment : attachments) width = std::max(width, attachment.name.size());
  for (const Attachment& attachment : attachments) {
    table << "  " << attachment.name << std::string(width - attachment.name.size() + 2, ' ')
          << to_string(attachment.state);
    if (!attachment.reason.empty()) table << ": " << attachment.reason;
    if (const at::Tensor& m = attachment.factor; m.defined())
      table << ", " << m.size(0) << " factors from " << m.min().item<double>() << " to " << m.max().item<double>();
    if (attachment.uses > 1) table << ", " << attachment.uses << " uses";
    table << "\n";
  }
  return table.str();
}

}  // namespace grapes
