#pragma once

#include "grapes/cost/cost.h"

#include <optional>
#include <string>
#include <vector>

namespace grapes::cost {

/// Energies of operations in one number format, in picojoules.
struct Numbers {
  std::string name;
  double bits = 0;  ///< of a word in memory
  double multiply = 0, add = 0, compare = 0, divide = 0;
};

/// A memory and the energy of an access, in picojoules.
struct Memory {
  std::string name;
  std::optional<double> bytes;  ///< capacity; empty: unlimited
  double width = 0;             ///< bits of an access
  double access = 0;
};

/// A table of energies from a file; share/energy/horowitz-2014.toml describes the format.
struct EnergyTable {
  std::string name, source;
  std::vector<Numbers> numbers;
  std::vector<Memory> memory;  ///< from the smallest; the last one is unlimited

  /// Returns the first memory that holds an array of this size in words. @param bits  per word
  const Memory& holding(double words, double bits) const;
};

/// Returns the table of Horowitz 2014, embedded in the program.
const EnergyTable& standard_energies();
/// @param name  of the file, for messages
/// @throws DataError with file, line and key of what is missing, unknown or not a valid number
EnergyTable parse_energies(const std::string& text, const std::string& name);
/// @throws DataError as above, or if the file does not exist
EnergyTable read_energies(const std::string& path);

/// Energies in picojoules.
struct Energy {
  double arithmetic = 0, memory = 0;
  double total() const { return arithmetic + memory; }
};

/// A table, and the number format that is used.
struct Prices {
  const EnergyTable& table;
  const Numbers& numbers;

  /// Returns the energy of all operations and accesses. An access to a word costs its fraction of the memory's width.
  Energy of(const Work& work) const;
  Energy of(const LayerCost& cost) const { return of(cost.all()); }
  const Memory& holding(double words) const { return table.holding(words, numbers.bits); }
};

}  // namespace grapes::cost
