#pragma once

#include "grapes/cost/cost.h"

#include <optional>
#include <string>
#include <vector>

namespace grapes::cost {

/// Energies of operations on one format of numbers, in picojoules.
struct Numbers {
  std::string name;
  double bits = 0;  ///< of a word in memory
  double multiply = 0, add = 0, compare = 0, divide = 0;
};

/// A memory and what an access to it takes, in picojoules.
struct Memory {
  std::string name;
  std::optional<double> bytes;  ///< that it holds; nothing: everything fits
  double width = 0;             ///< bits of an access
  double access = 0;
};

/// A table of energies, as a file has it; share/energy/horowitz-2014.toml says what is in one.
struct EnergyTable {
  std::string name, source;
  std::vector<Numbers> numbers;
  std::vector<Memory> memory;  ///< from the smallest; the last one holds everything

  /// The first memory that holds an array of so many words. @param bits  of a word
  const Memory& holding(double words, double bits) const;
};

/// Horowitz 2014, embedded in the program.
const EnergyTable& standard_energies();
/// @param name  of the file, for errors
/// @throws DataError: file, line and key of what is missing, unknown or no such number
EnergyTable parse_energies(const std::string& text, const std::string& name);
/// @throws DataError likewise, and if there is no such file
EnergyTable read_energies(const std::string& path);

/// In picojoules.
struct Energy {
  double arithmetic = 0, memory = 0;
  double total() const { return arithmetic + memory; }
};

/// A table, and the numbers of it that are used.
struct Prices {
  const EnergyTable& table;
  const Numbers& numbers;

  /// Every operation and every access at its price: an access to a word is its part of the memory's width.
  Energy of(const Work& work) const;
  Energy of(const LayerCost& cost) const { return of(cost.all()); }
  const Memory& holding(double words) const { return table.holding(words, numbers.bits); }
};

}  // namespace grapes::cost
