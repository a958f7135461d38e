#include "grapes/embedded/c_header.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/fixed/factor.h"
#include "grapes/fixed/softmax.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <regex>

namespace grapes::embedded {
extern const char* const network_c;  // the text of network.c, made at build time by tools/embed_text.py

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
/// Whether tanh or sigmoid come from the table.
bool has_tanh(const fixed::Network& network) { return network.layers.size() > 1 && network.activation->table; }

const char* sum_type(const fixed::Network& network) {
  return fixed::accumulator_bits(network) == 32 ? "int32_t" : "int64_t";
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
    throw UsageError("name", "takes a C identifier; got '" + name + "'");
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

/// How it is called, its formats, its costs, and what it computes to learn.
std::string introduction(const fixed::Network& network) {
  const char* const answer = network.classes ? "const unsigned answer = " : "";
  const char* const learn = !network.learning ? ""
                            : network.classes ? "     net_learn(&state, x, label);\n"
                                              : "     net_learn(&state, x, targets);\n";
  std::string text = fmt::format(R"(   Put it into one .c file:

     static net_state state;
     int16_t x[NET_INPUTS], logits[NET_OUTPUTS];
     net_init(&state);
     {}net_infer(&state, x, logits);
{}
   Every number is an integer times 2^-fraction; what does not fit is saturated, what is rounded goes to the nearest,
   a half upwards.

     what                       C type      fraction  range
{}

   Sums of products: {}, which they cannot leave (grapes/fixed/network.h says why).
   Cost: {}.
)",
                                 answer, learn, format_rows(network), sum_type(network), cost_text(network));
  if (!network.learning) return text + "*/\n";
  const fixed::Learning& learning = *network.learning;
  text +=
      fmt::format(R"(   One call of net_learn, example by example (rate 2^-{0}):
     output error = {1}
     error below  = sum of weight x error, times the activation's slope{2}
     weight      -= error x input / 2^{0}, rounded at random so that small updates are right on average
   With NET_LEARNS 0 below, the code for it is left out.
)",
                  learning.rate_shift,
                  learning.loss == fixed::Learning::Loss::squares
                      ? fmt::format("2 (logits - target) / {}", network.layers.back().nodes)
                      : "softmax(logits) - one-hot label; the exponential by table, within 1.5 / 2^14, one division",
                  has_factors(network) ? ", times the node's factor m" : "");
  if (has_factors(network))
    text += fmt::format(
        R"(   GRAPES (Dellaferrera et al. 2022, doi 10.1038/s41467-022-29491-2): m = clip(2 r / max r, 1, 2) to the nearest
   multiple of 1/{}, r = the node's sum of |weight|, which every update of a weight keeps up to date with two
   additions: r += |new| - |old|.
)",
        1 << learning.factor_bits);
  return text + "*/\n";
}

/// The settings that network.c is compiled with.
std::string settings(const fixed::Network& network) {
  const Counts c = counts(network);
  const fixed::Formats& f = network.formats;
  std::string text;
  const auto set = [&](const char* what, const auto& value) {
    text += fmt::format("#define NET_{} {}\n", what, value);
  };
  const auto count = [&](const char* what, auto value) { set(what, fmt::format("{}u", value)); };
  count("INPUTS", c.inputs);
  count("OUTPUTS", c.outputs);
  count("LAYERS", network.layers.size());
  count("NODES", c.nodes);
  count("HIDDEN", c.hidden);
  count("WEIGHTS", c.weights);
  count("INPUT_FRACTION", f.input);
  count("ACTIVATION_FRACTION", f.activation);
  set("ACTIVATION", "NET_" + upper(std::string(c.hidden > 0 ? network.activation->name : "identity")));
  set("BIASES", network.biases ? 1 : 0);
  set("CLASSES", network.classes ? 1 : 0);
  set("LEARNS", network.learning ? 1 : 0);
  if (!network.learning) return text;
  set("SQUARES", network.learning->loss == fixed::Learning::Loss::squares ? 1 : 0);
  set("GRAPES", has_factors(network) ? 1 : 0);
  if (has_factors(network)) count("FACTOR_BITS", network.learning->factor_bits);
  count("ERROR_FRACTION", f.error);
  count("RATE_SHIFT", network.learning->rate_shift);
  set("GREATEST_WEIGHT", (1 << (f.weight_bits - 1)) - 1);
  count("FIRST_RANDOM", fixed::first_random);
  return text;
}

/// Its numbers and their types.
std::string tables(const fixed::Network& network, const std::string& name) {
  std::string text = fmt::format("typedef int{}_t {}_weight;\ntypedef {} {}_sum; /* of products */\n",
                                 network.formats.weight_bits, name, sum_type(network), name);
  if (has_factors(network))
    text += fmt::format("typedef uint{}_t {}_scaled; /* a responsibility, shifted */\n", wide_factor(network) ? 64 : 32,
                        name);
  text += fmt::format(R"(
typedef struct {{
  uint16_t inputs, nodes;
  uint32_t first_weight; /* [node][input] from there */
  uint16_t first_node;
  uint8_t fraction; /* of weights and biases */
  uint8_t input_fraction;
}} {0}_layer;

static const {0}_layer {0}_layers[] = {{
{1}
}};
)",
                      name, layer_table(network));
  const auto array = [&](const char* comment, const std::string& type, const char* what, const std::string& numbers) {
    text += fmt::format("\n{}static const {} {}_{}[] = {{\n{}\n}};\n", comment, type, name, what, numbers);
  };
  array("", name + "_weight", "trained", table(all(network, &fixed::Layer::weights)));
  if (network.biases) array("", "int16_t", "trained_biases", table(all(network, &fixed::Layer::biases)));
  if (has_tanh(network))
    array("/* tanh(i / 32) in units of 2^-15 */\n", "uint16_t", "tanh", table(fixed::tanh_table()));
  if (network.learning && network.learning->loss == fixed::Learning::Loss::cross_entropy)
    array("/* 2^(-i / 64) in units of 2^-14 */\n", "uint16_t", "exp2", table(fixed::exp2_table()));
  return text;
}

/// With the network's own name: net_infer becomes NAME_infer.
std::string renamed(const std::string& text, const std::string& name) {
  static const std::regex lower("\\bnet_"), capital("\\bNET_");
  return std::regex_replace(std::regex_replace(text, lower, name + "_"), capital, upper(name) + "_");
}

}  // namespace

CSize c_size(const fixed::Network& network) {
  const Counts c = counts(network);
  const std::size_t weights = c.weights * static_cast<std::size_t>(network.formats.weight_bits / 8);
  const std::size_t biases = network.biases ? 2 * c.nodes : 0;
  CSize size{2 * c.nodes, weights + biases + 16 * network.layers.size()};
  if (has_tanh(network)) size.constants += 2 * fixed::tanh_table().size();
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
  const std::string head =
      "/* " + name + ": a network in integers, without a heap, a float or a library. Made by `grapes export c`.\n\n" +
      comment(about) + "\n\n" + renamed(introduction(network), name);
  return fmt::format("{}#ifndef {}_H\n#define {}_H\n\n#include <stdint.h>\n#include <string.h>\n\n{}\n{}\n{}\n#endif\n",
                     head, upper(name), upper(name), renamed(settings(network), name), tables(network, name),
                     renamed(network_c, name));
}

}  // namespace grapes::embedded
