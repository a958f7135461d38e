#include "grapes/embedded/about.h"

#include "grapes/base/text.h"
#include "grapes/experiment/arms.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace grapes::embedded {
namespace {

/// Formats "0.13, 0.2, ..." as lines of a comment.
std::vector<std::string> numbers(const std::string& begin, const at::Tensor& values) {
  std::vector<std::string> lines = {begin};
  const at::Tensor flat = values.detach().to(at::kDouble).contiguous().flatten();
  for (std::int64_t i = 0; i < flat.numel(); ++i) {
    const std::string word = fmt::format("{}{:.7g}", i > 0 ? ", " : " ", flat[i].item<double>());
    if (lines.back().size() + word.size() > 110) lines.emplace_back("   ");
    lines.back() += word;
  }
  return lines;
}

}  // namespace

std::vector<std::string> about(const experiment::Loaded& loaded, const std::filesystem::path& checkpoint,
                               int fraction) {
  const nn::Options& network = loaded.config.network;
  std::vector<std::string> lines = {
      fmt::format("From {}: {}, {}, trained by {} on {}.", checkpoint.filename().string(), nn::to_string(network.model),
                  network.activation, experiment::arm_label(loaded.config),
                  std::filesystem::path(loaded.config.data.data).filename().string()),
      ""};
  const data::Normalization& normalization = loaded.normalization;
  if (!normalization.shift.defined()) {
    lines.push_back(
        fmt::format("Input i is x[i] = v[i] 2^{}, rounded to the nearest; v is an example as in training:", fraction));
    lines.emplace_back("gray values and other bytes scaled to 0 ... 1, other numbers unchanged.");
  } else {
    lines.push_back(
        fmt::format("Input i is x[i] = (v[i] - shift) scale 2^{}, rounded to the nearest; v is an example:", fraction));
    const std::int64_t inputs = c10::multiply_integers(loaded.info.input_shape), given = normalization.shift.numel();
    lines.emplace_back("gray values and other bytes scaled to 0 ... 1, other numbers unchanged; shift and scale are " +
                       (given == 1        ? std::string("the same for all inputs:")
                        : given == inputs ? std::string("per input:")
                                          : fmt::format("per channel of {} inputs:", inputs / given)));
    for (const auto& [what, values] :
         {std::pair("shift =", normalization.shift), std::pair("scale =", normalization.scale)})
      for (std::string& line : numbers(what, values)) lines.push_back(std::move(line));
  }
  std::vector<std::string> outputs;
  for (const std::string& name : loaded.info.classes) {
    const std::string number = std::to_string(outputs.size());
    outputs.push_back(name == number ? number : number + " " + name);
  }
  if (loaded.criterion.standardizes()) {
    lines.emplace_back("Output y means the target value mean + deviation y, in the order of the outputs:");
    for (const auto& [what, values] :
         {std::pair("mean =", loaded.info.target_mean), std::pair("deviation =", loaded.info.target_deviation)})
      for (std::string& line : numbers(what, at::tensor(values, at::kDouble))) lines.push_back(std::move(line));
  }
  if (!loaded.info.fill.empty())
    for (std::string& line :
         numbers("A missing input is replaced, before it is scaled, by", at::tensor(loaded.info.fill, at::kFloat)))
      lines.push_back(std::move(line));
  lines.push_back(fmt::format("Outputs: {}.", join(outputs, ", ")));
  return lines;
}

}  // namespace grapes::embedded
