#include "grapes/cost/energy.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/text.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>

namespace grapes::cost {

extern const char* const standard_energies_text;  // share/energy/horowitz-2014.toml

namespace {

/// A table of the file. Every key must be read, and unknown keys are errors.
class Section {
 public:
  Section(const toml::table& table, std::string what, const std::string& file)
      : table_(table), what_(std::move(what)), file_(file) {}

  std::string text(const char* key) {
    const toml::node& node = need(key);
    const auto value = node.value_exact<std::string>();
    if (!value || value->empty()) refuse(node, key, "expected text");
    return *value;
  }

  /// Returns a number above 0, or at least 0 if `free`.
  double number(const char* key, bool free = false) {
    const toml::node& node = need(key);
    const auto value = node.is_number() ? node.value<double>() : std::nullopt;
    if (!value || !std::isfinite(*value) || !(*value > 0 || (free && *value == 0)))
      refuse(node, key, free ? "expected a number >= 0" : "expected a number > 0");
    return *value;
  }

  bool has(const char* key) const { return table_.contains(key); }

  std::vector<const toml::table*> sections(const char* key) {
    const toml::node& node = need(key);
    const toml::array* all = node.as_array();
    if (all == nullptr || all->empty() || !all->is_homogeneous(toml::node_type::table))
      refuse(node, key, std::string("expected tables [[") + key + "]]");
    std::vector<const toml::table*> tables;
    for (const toml::node& one : *all) tables.push_back(one.as_table());
    return tables;
  }

  void end() const {
    for (const auto& [key, node] : table_)
      if (std::find(known_.begin(), known_.end(), key.str()) == known_.end())
        fail(node.source().begin.line,
             "unknown key '" + std::string(key.str()) + "'" + did_you_mean(key.str(), known_) + " in " + what_);
  }

  [[noreturn]] void refuse(const toml::node& node, const std::string& key, const std::string& expected) const {
    fail(node.source().begin.line, "key '" + key + "' of " + what_ + ": " + expected);
  }

 private:
  const toml::node& need(const char* key) {
    known_.emplace_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr) fail(table_.source().begin.line, "key '" + std::string(key) + "' is missing in " + what_);
    return *node;
  }
  [[noreturn]] void fail(toml::source_index line, const std::string& why) const {
    throw DataError(file_ + ":" + std::to_string(line) + ": " + why);
  }

  const toml::table& table_;
  std::string what_;
  const std::string& file_;
  std::vector<std::string> known_;
};

}  // namespace

EnergyTable parse_energies(const std::string& text, const std::string& name) {
  toml::table file;
  try {
    file = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    throw DataError(name + ":" + std::to_string(error.source().begin.line) + ": " + std::string(error.description()));
  }
  EnergyTable table;
  Section top(file, "a table of energies", name);
  table.name = top.text("name");
  table.source = top.text("source");
  for (const toml::table* row : top.sections("numbers")) {
    Section section(*row, "[[numbers]]", name);
    Numbers& numbers = table.numbers.emplace_back();
    numbers.name = section.text("name");
    numbers.bits = section.number("bits");
    numbers.multiply = section.number("multiply", true);
    numbers.add = section.number("add", true);
    numbers.compare = section.number("compare", true);
    numbers.divide = section.number("divide", true);
    section.end();
  }
  const auto memories = top.sections("memory");
  for (const toml::table* row : memories) {
    Section section(*row, "[[memory]]", name);
    const double before = table.memory.empty() ? 0 : *table.memory.back().bytes;
    Memory& memory = table.memory.emplace_back();
    memory.name = section.text("name");
    const bool last = row == memories.back();
    if (last && section.has("bytes"))
      section.refuse(*row->get("bytes"), "bytes", "omit it for the last memory, which is unlimited");
    if (!last) memory.bytes = section.number("bytes");
    if (!last && *memory.bytes <= before)
      section.refuse(*row->get("bytes"), "bytes", "expected more than for the previous memory");
    memory.width = section.number("width");
    memory.access = section.number("access", true);
    section.end();
  }
  top.end();
  return table;
}

EnergyTable read_energies(const std::string& path) { return parse_energies(read_file(path), path); }

const EnergyTable& standard_energies() {
  static const EnergyTable table = parse_energies(standard_energies_text, "horowitz-2014.toml");
  return table;
}

const Memory& EnergyTable::holding(double words, double bits) const {
  for (const Memory& level : memory)
    if (!level.bytes || words * bits <= 8 * *level.bytes) return level;
  return memory.back();
}

Energy Prices::of(const Work& work) const {
  Energy energy;
  energy.arithmetic = work.macs * (numbers.multiply + numbers.add) + work.multiplications * numbers.multiply +
                      work.additions * numbers.add + work.comparisons * numbers.compare +
                      work.divisions * numbers.divide;
  for (const Access& access : work.accesses) {
    const Memory& memory = holding(access.size);
    energy.memory += (access.read + access.written) * memory.access * numbers.bits / memory.width;
  }
  return energy;
}

}  // namespace grapes::cost
