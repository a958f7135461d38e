#include "grapes/embedded/c_header.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/embedded/template.h"
#include "grapes/fixed/factor.h"
#include "grapes/fixed/softmax.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace grapes::embedded {
/// The text of network.c.in and of learn.c.in, which stands within; made at build time by tools/embed_text.py.
extern const char* const network_template;
extern const char* const learn_template;

namespace {

struct Counts {
  std::size_t inputs, outputs, nodes, hidden, weights;
};

Counts counts(const fixed::Network& network) {
  Counts c{network.layers.front().inputs, network.layers.back().nodes, 0, 0, 0};
  for (const fixed::Layer& layer : network.layers) {
    c.nodes += layer.nodes;
    c.weights += layer.weights.size();
  }
  c.hidden = c.nodes - c.outputs;
  return c;
}

bool has_factors(const fixed::Network& network) {
  return network.learning && network.learning->grapes && network.layers.size() > 1;
}

/// Numbers as the inside of an array, in lines of at most 118 characters.
template <class Numbers>
std::string table(const Numbers& numbers) {
  std::string text, line = " ";
  for (const auto number : numbers) {
    const std::string word = fmt::format(" {},", number);
    if (line.size() + word.size() > 118) {
      text += line + "\n";
      line = " ";
    }
    line += word;
  }
  return text + line;
}

std::vector<std::int32_t> all(const fixed::Network& network, std::vector<std::int32_t> fixed::Layer::*part) {
  std::vector<std::int32_t> numbers;
  for (const fixed::Layer& layer : network.layers)
    numbers.insert(numbers.end(), (layer.*part).begin(), (layer.*part).end());
  return numbers;
}

std::string layer_table(const fixed::Network& network) {
  std::vector<std::string> rows;
  std::size_t weight = 0, node = 0;
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const fixed::Layer& layer = network.layers[l];
    rows.push_back(fmt::format("  {{{}, {}, {}, {}, {}, {}}},", layer.inputs, layer.nodes, weight, node, layer.fraction,
                               fixed::input_fraction(network, l)));
    weight += layer.weights.size();
    node += layer.nodes;
  }
  return join(rows, "\n");
}

std::string format_rows(const fixed::Network& network) {
  const fixed::Formats& f = network.formats;
  std::vector<std::string> rows;
  const auto row = [&](const std::string& what, int bits, int fraction) {
    const double one = std::ldexp(1.0, fraction), most = std::ldexp(1.0, bits - 1);
    rows.push_back(fmt::format("     {:<25}  int{}_t{}  {:>8}  {:g} ... {:.6g}", what, bits, bits < 10 ? "   " : "  ",
                               fraction, -most / one, (most - 1) / one));
  };
  row("input x", 16, f.input);
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    row(fmt::format("weights of layer {}", l), f.weight_bits, network.layers[l].fraction);
    if (network.biases) row(fmt::format("biases of layer {}", l), 16, network.layers[l].fraction);
  }
  row("hidden values, logits", 16, f.activation);
  if (network.learning) row("errors", 16, f.error);
  if (has_factors(network))
    rows.push_back(fmt::format("     {:<25}  uint32_t  as weights  sums of |weight|", "responsibilities"));
  return join(rows, "\n");
}

/// Whether r · 2^(k+2) of a hidden layer can leave 32 bits.
bool wide_factor(const fixed::Network& network) {
  for (std::size_t l = 0; l + 1 < network.layers.size(); ++l) {
    const std::uint64_t most = std::uint64_t{network.layers[l].inputs} << (network.formats.weight_bits - 1);
    if (most << (network.learning->factor_bits + 2) >= std::uint64_t{1} << 32) return true;
  }
  return false;
}

std::string cost_text(const fixed::Network& network) {
  const Counts c = counts(network);
  const CSize size = c_size(network);
  std::string text = fmt::format("{} bytes of tables in flash, {} bytes of state; {} multiplications to infer",
                                 size.constants, size.state, c.weights);
  if (network.learning)
    text += fmt::format(",\n   up to {} to learn, and as many random numbers as weights change",
                        3 * c.weights - network.layers.front().weights.size());
  return text;
}

void require_identifier(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto good = [&](char c) { return letter(c) || (c >= '0' && c <= '9'); };
  if (name.empty() || !letter(name[0]) || !std::all_of(name.begin(), name.end(), good))
    throw UsageError("--name takes a C identifier; got '" + name + "'");
}

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

/// Nothing in a comment may end it.
std::string comment(std::vector<std::string> lines) {
  for (std::string& line : lines) {
    for (std::size_t at; (at = line.find("*/")) != std::string::npos || (at = line.find("/*")) != std::string::npos;)
      line.replace(at, 2, "* ");
    if (!line.empty()) line = "   " + line;
  }
  return join(lines, "\n");
}

}  // namespace

CSize c_size(const fixed::Network& network) {
  const Counts c = counts(network);
  const std::size_t weights = c.weights * static_cast<std::size_t>(network.formats.weight_bits / 8);
  const std::size_t biases = network.biases ? 2 * c.nodes : 0;
  CSize size{2 * c.nodes, weights + biases + 16 * network.layers.size()};
  if (network.activation->table && c.hidden > 0) size.constants += 2 * fixed::tanh_table().size();
  if (!network.learning) return size;
  if (network.learning->loss == fixed::Learning::Loss::cross_entropy) size.constants += 2 * fixed::exp2_table().size();
  const auto up = [](std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; };
  std::size_t state = up(weights, 2) + biases;
  if (has_factors(network)) state = up(state, 4) + 4 * c.hidden;
  size.state = up(up(state + 2 * c.nodes, 4) + 4 + 2 * c.nodes, 4);
  return size;
}

std::string c_header(const fixed::Network& network, const std::string& name, const std::vector<std::string>& about) {
  require_identifier(name);
  fixed::check(network);
  const Counts c = counts(network);
  const fixed::Formats& f = network.formats;
  const bool learns = network.learning.has_value(), factors = has_factors(network);
  const std::string activation(c.hidden > 0 ? network.activation->name : "identity");
  const bool tables = c.hidden > 0 && network.activation->table;

  std::map<std::string, std::string> values = {
      {"name", name},
      {"NAME", upper(name)},
      {"about", comment(about)},
      {"wide", fixed::accumulator_bits(network) == 32 ? "int32_t" : "int64_t"},
      {"weight", f.weight_bits == 8 ? "int8_t" : "int16_t"},
      {"greatest_weight", std::to_string((1 << (f.weight_bits - 1)) - 1)},
      {"formats", format_rows(network)},
      {"costs", cost_text(network)},
      {"inputs", std::to_string(c.inputs)},
      {"outputs", std::to_string(c.outputs)},
      {"layer_count", std::to_string(network.layers.size())},
      {"nodes", std::to_string(c.nodes)},
      {"hidden", std::to_string(c.hidden)},
      {"weight_count", std::to_string(c.weights)},
      {"input_fraction", std::to_string(f.input)},
      {"activation_fraction", std::to_string(f.activation)},
      {"has_biases", network.biases ? "1" : "0"},
      {"has_classes", network.classes ? "1" : "0"},
      {"has_learning", learns ? "1" : "0"},
      {"has_grapes", factors ? "1" : "0"},
      {"activation", activation},
      {"layers", layer_table(network)},
      {"weights", table(all(network, &fixed::Layer::weights))},
      {"biases", table(all(network, &fixed::Layer::biases))},
      {"tanh_table", table(fixed::tanh_table())},
      {"exp2_table", table(fixed::exp2_table())},
      {"read_weights", learns ? "s->weights" : name + "_trained"},
      {"read_biases", learns ? "s->biases" : name + "_trained_biases"},
      {"first_random", fmt::format("{}u", fixed::first_random)},
      {"times_factor", factors ? ", times the node's factor m" : ""},
  };
  std::set<std::string> parts = {activation};
  const auto want = [&](const char* part, bool wanted) {
    if (wanted) parts.insert(part);
  };
  want("learn", learns);
  want("grapes", factors);
  want("biases", network.biases);
  want("classes", network.classes);
  want("table", tables);
  want("rounds", tables || factors || (learns && network.learning->loss == fixed::Learning::Loss::squares));
  if (learns) {
    const fixed::Learning& learning = *network.learning;
    want("cross_entropy", learning.loss == fixed::Learning::Loss::cross_entropy);
    want("squares", learning.loss == fixed::Learning::Loss::squares);
    const int outputs = static_cast<int>(c.outputs);
    values["error_fraction"] = std::to_string(f.error);
    values["rate"] = std::to_string(learning.rate_shift);
    values["factor_bits"] = std::to_string(learning.factor_bits);
    values["factor_one"] = std::to_string(1 << learning.factor_bits);
    values["scaled"] = factors && wide_factor(network) ? "uint64_t" : "uint32_t";
    values["two_over_outputs"] = std::to_string(((1 << 14) + outputs / 2) / outputs);
    values["learning"] = "\n" + std::string(trim(fill(learn_template, values, parts)));
  }
  return fill(network_template, values, parts);
}

}  // namespace grapes::embedded
