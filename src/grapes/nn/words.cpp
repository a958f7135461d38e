#include "grapes/nn/words.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>

namespace grapes::nn {
namespace {

using Do = Stage::Do;

constexpr std::int64_t largest_number = 1'000'000;

[[noreturn]] void refuse_spiking_word(const std::string& word) {
  throw UsageError("layer '" + word +
                   "': expected a number of units such as 128, conv16 with k (kernel), s (stride), p (padding), d "
                   "(dilation) and g (groups) such as conv16k5s2p1, avg2, sum2, max2 (the side of a window), delay3 "
                   "(time steps), or a convolution and the pooling of its current such as conv16-avg2");
}

[[noreturn]] void refuse_word(const std::string& word) {
  throw UsageError("layer '" + word +
                   "': expected a number of units such as 128; conv16 with k (kernel), s (stride), p (padding) such as "
                   "conv16k5s2p0; max2, avg2 (side of a window), max, avg; keep, add, skip16s2; drop; -linear after a "
                   "layer without activation");
}

/// A name and numbers, each with the letter before it: "conv16k5" is conv, 16, k 5.
struct Word {
  std::string name;
  std::optional<std::int64_t> number;
  std::map<char, std::int64_t> options;

  /// Whether it has only these options, with numbers above 0, or for the padding at least 0.
  bool has_only(const std::string& letters) const {
    return std::all_of(options.begin(), options.end(), [&](const auto& option) {
      return letters.find(option.first) != std::string::npos && (option.second > 0 || option.first == 'p');
    });
  }
  /// Sets kernel, stride, padding, dilation and groups of a convolution. Without p, an odd kernel keeps the size.
  void shape(Stage& stage, std::int64_t kernel) const {
    const auto option = [&](char letter, std::int64_t otherwise) {
      const auto found = options.find(letter);
      return found != options.end() ? found->second : otherwise;
    };
    stage.kernel = option('k', kernel);
    stage.stride = option('s', 1);
    stage.padding = option('p', stage.kernel / 2);
    stage.dilation = option('d', 1);
    stage.groups = option('g', 1);
  }
};

Word parted_word(const std::string& text, void (*refuse)(const std::string& word)) {
  Word word;
  std::size_t at = 0;
  const auto digit = [&](std::size_t i) {
    return i < text.size() && std::isdigit(static_cast<unsigned char>(text[i]));
  };
  const auto number = [&] {
    const std::size_t from = at;
    while (digit(at)) ++at;
    const auto value = to_integer(text.substr(from, at - from));
    if (!value || *value > largest_number) refuse(text);
    return value.value_or(0);
  };
  while (at < text.size() && !digit(at)) word.name += text[at++];
  if (at < text.size()) word.number = number();
  while (at < text.size()) {
    const char letter = text[at++];
    if (!word.options.emplace(letter, number()).second) refuse(text);
  }
  return word;
}

Stage stage_of_word(const std::string& text) {
  const std::size_t dash = text.find('-');
  const bool linear = dash != std::string::npos;
  if (linear && text.substr(dash) != "-linear") refuse_word(text);
  const Word word = parted_word(text.substr(0, dash), refuse_word);
  const auto only = [&](bool number, const std::string& options, bool may_be_linear) {
    if (word.number.has_value() != number || (number && *word.number == 0) || (linear && !may_be_linear) ||
        !word.has_only(options))
      refuse_word(text);
  };
  Stage stage{Do::dense, word.number.value_or(0)};
  if (word.name.empty()) {
    only(true, "", true);
    stage.drops = true;
  } else if (word.name == "conv" || word.name == "skip") {
    only(true, "ksp", word.name == "conv");
    stage.what = word.name == "conv" ? Do::convolve : Do::shortcut;
    word.shape(stage, stage.what == Do::convolve ? 3 : 1);
    stage.activates = stage.what == Do::convolve;
  } else if (word.name == "max" || word.name == "avg") {
    only(word.number.has_value(), "", false);
    stage.what = word.name == "max" ? Do::max_pool : Do::average;
    stage.units = 0;
    stage.pool = word.number.value_or(0);
  } else if (word.name == "keep" || word.name == "add" || word.name == "drop") {
    only(false, "", word.name == "add");
    stage.what = word.name == "keep" ? Do::keep : word.name == "add" ? Do::add : Do::drop;
  } else {
    refuse_word(text);
  }
  if (linear) stage.activates = false;
  return stage;
}

/// The inverse of Word::shape. @param kernel  that of a word without k
std::string shaped_word(const char* name, const Stage& stage, std::int64_t kernel) {
  std::string word = fmt::format("{}{}", name, stage.units);
  if (stage.kernel != kernel) word += fmt::format("k{}", stage.kernel);
  if (stage.stride != 1) word += fmt::format("s{}", stage.stride);
  if (stage.padding != stage.kernel / 2) word += fmt::format("p{}", stage.padding);
  if (stage.dilation != 1) word += fmt::format("d{}", stage.dilation);
  if (stage.groups != 1) word += fmt::format("g{}", stage.groups);
  return word;
}

/// A layer, or a pool or a delay between layers.
Stages spiking_stages_of_word(const std::string& text) {
  Stages stages;
  bool convolved = false;
  for (const std::string& piece : split(text, '-')) {
    const Word word = parted_word(piece, refuse_spiking_word);
    const bool first = stages.empty(), pools = word.name == "avg" || word.name == "sum" || word.name == "max";
    if (word.number.value_or(0) == 0 || !word.has_only(first && word.name == "conv" ? "kspdg" : "") ||
        !(first || (convolved && pools)))
      refuse_spiking_word(text);
    Stage stage{Do::spike, *word.number};
    if (word.name == "conv") {
      stage.what = Do::convolve;
      stage.activates = false;
      word.shape(stage, 3);
      convolved = true;
    } else if (pools) {
      stage = {word.name == "avg" ? Do::average : word.name == "sum" ? Do::sum : Do::max_pool};
      stage.pool = *word.number;
    } else if (word.name == "delay") {
      stage.what = Do::delay;
    } else if (!word.name.empty()) {
      refuse_spiking_word(text);
    }
    stages.push_back(stage);
  }
  if (convolved) stages.push_back({Do::fire});
  return stages;
}

}  // namespace

Stages spiking_stages_of_words(const std::vector<std::string>& words) {
  Stages stages;
  for (const std::string& word : words) {
    const Stages layer = spiking_stages_of_word(word);
    stages.insert(stages.end(), layer.begin(), layer.end());
  }
  return stages;
}

Stages stages_of_words(const std::vector<std::string>& words) {
  Stages stages;
  std::vector<bool> kept;  // for each `keep` without its `add`: whether a `skip` has taken its value
  for (const std::string& word : words) {
    const Stage stage = stage_of_word(word);
    if (stage.what == Do::keep) kept.push_back(false);
    if ((stage.what == Do::add || stage.what == Do::shortcut) && kept.empty())
      throw UsageError("layer '" + word + "' has no 'keep' before it");
    if (stage.what == Do::shortcut) {
      if (kept.back()) throw UsageError("layer '" + word + "': only one 'skip' may be between a 'keep' and its 'add'");
      kept.back() = true;
    }
    if (stage.what == Do::add) kept.pop_back();
    // Pooling right after a convolution is part of it, as in the models of the table.
    const bool whole = !stages.empty() && stages.back().what == Do::convolve && stages.back().pool == 1;
    if (stage.what == Do::max_pool && stage.pool > 1 && whole)
      stages.back().pool = stage.pool;
    else
      stages.push_back(stage);
  }
  if (!kept.empty()) throw UsageError("a 'keep' has no 'add' after it");
  return stages;
}

std::string spiking_word_of(const Stage& stage) {
  const auto pool = [&](const char* name) { return fmt::format("{}{}", name, stage.pool); };
  switch (stage.what) {
    case Do::convolve:
      return shaped_word("conv", stage, 3);
    case Do::average:
      return pool("avg");
    case Do::sum:
      return pool("sum");
    case Do::max_pool:
      return pool("max");
    case Do::delay:
      return fmt::format("delay{}", stage.units);
    default:
      return std::to_string(stage.units);
  }
}

std::vector<std::string> words_of(const Stages& stages) {
  std::vector<std::string> words;
  const auto side = [](std::int64_t pool) { return pool == 0 ? std::string() : std::to_string(pool); };
  for (const Stage& stage : stages) {
    const std::string linear = stage.activates ? "" : "-linear";
    switch (stage.what) {
      case Do::dense:
        words.push_back(std::to_string(stage.units) + linear);
        break;
      case Do::convolve:
      case Do::shortcut: {
        const bool main = stage.what == Do::convolve;
        if (stage.dilation != 1 || stage.groups != 1)
          throw UsageError("convolutions with dilation or groups have words in spiking networks only");
        words.push_back(shaped_word(main ? "conv" : "skip", stage, main ? 3 : 1) + (main ? linear : ""));
        if (stage.pool > 1) words.push_back("max" + side(stage.pool));
        break;
      }
      case Do::max_pool:
        words.push_back("max" + side(stage.pool));
        break;
      case Do::average:
        words.push_back("avg" + side(stage.pool));
        break;
      case Do::keep:
        words.emplace_back("keep");
        break;
      case Do::add:
        words.push_back("add" + linear);
        break;
      case Do::drop:
        words.emplace_back("drop");
        break;
      default:
        throw UsageError("layers over time have no words");
    }
  }
  return words;
}

}  // namespace grapes::nn
