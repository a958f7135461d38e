#pragma once

#include "grapes/base/error.h"
#include "grapes/base/text.h"
#include "grapes/experiment/key.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// Forms: how the values of keys are written to text and read from it.
namespace grapes::experiment {

template <class Value>
struct Form {
  std::string takes;
  Key::Kind kind;
  std::function<std::string(const Value&)> write;
  /// Returns false if `text` is invalid. May throw a UsageError with details.
  std::function<bool(std::string_view text, Value&)> read;
};

/// Returns the part of a configuration that contains the fields of `Owner`.
template <class Owner, class Whole>
auto& part(Whole& config) {
  return std::get<std::conditional_t<std::is_const_v<Whole>, const Owner&, Owner&>>(std::tie(
      config, config.data, config.data.pictures, config.data.events, config.data.table, config.data.table.dialect,
      config.network, config.network.spiking, config.network.encoding, config.network.analog, config.network.rule,
      config.network.compatibility, config.optimizer, config.training, config.continual, config.compare));
}

/// Creates a row of the table. Errors about a value get the name of their key here.
/// @param names  the name, then synonyms: "batch-size, batch, minibatch"
/// @param field  field that stores the value
template <class Given, class Owner, class Value>
Key key(const std::string& names, const Scope& scope, const std::string& meaning, const Given& given,
        Value Owner::*field) {
  std::vector<std::string> words;
  for (const std::string& word : split(names, ',')) words.emplace_back(trim(word));
  const std::string name = words.front();
  const Form<Value> form = given;
  return {name,
          "",
          meaning,
          form.takes,
          form.kind,
          scope,
          [=](const Config& config) { return form.write(part<Owner>(config).*field); },
          [=](Config& config, std::string_view text) {
            const auto refuse = [&](const std::string& why) {
              throw UsageError(fmt::format("{} = '{}': {}", name, text, why));
            };
            try {
              if (form.read(text, part<Owner>(config).*field)) return;
            } catch (const UsageError& error) {
              refuse(error.what());
            }
            refuse("expected " + form.takes + did_you_mean(text, split(form.takes, '|')));
          },
          {words.begin() + 1, words.end()}};
}

/// Joins the rows of several groups.
std::vector<Key> table_of(const std::vector<std::pair<std::string, std::vector<Key>>>& groups);
std::vector<Key> network_keys();   ///< data, network and learning rule
std::vector<Key> training_keys();  ///< updates, runs, comparisons, machine

/// A number in a range; with numbers(), a list of them.
struct Range {
  std::string text;
  std::function<bool(double)> holds;

  bool read(std::string_view text, std::floating_point auto& value) const {
    const auto x = to_double(text);
    if (!x || !std::isfinite(*x) || !holds(*x)) return false;
    value = *x;
    return true;
  }
  bool read(std::string_view text, std::integral auto& value) const {
    const auto x = to_integer(text);
    if (!x || !holds(static_cast<double>(*x))) return false;
    value = static_cast<std::remove_cvref_t<decltype(value)>>(*x);
    return true;
  }
  template <class Value>
  operator Form<Value>() const {  // NOLINT(google-explicit-constructor): a range stands for its form in a row
    return {(std::integral<Value> ? "WHOLE NUMBER" : "NUMBER") + text, Key::Kind::number,
            [](const Value& value) {
              if constexpr (std::integral<Value>)
                return std::to_string(value);
              else
                return shortest(value);
            },
            [range = *this](std::string_view given, Value& value) { return range.read(given, value); }};
  }
};
inline Range above(double low) {
  return {" > " + shortest(low), [=](double x) { return x > low; }};
}
inline Range at_least(double low) {
  return {" >= " + shortest(low), [=](double x) { return x >= low; }};
}
inline Range from_below(double low, double high) {
  return {" >= " + shortest(low) + ", < " + shortest(high), [=](double x) { return x >= low && x < high; }};
}
inline Range upto(double low, double high) {
  return {" > " + shortest(low) + ", <= " + shortest(high), [=](double x) { return x > low && x <= high; }};
}
/// A fraction of the examples, or their number.
inline Range part_or_count() {
  return {" >= 0, < 1, or a whole count", [](double x) { return x >= 0 && (x < 1 || x == std::floor(x)); }};
}
inline Range any_number() {
  return {"", [](double) { return true; }};
}

inline std::string numbers_text(const std::vector<double>& values) {
  std::vector<std::string> pieces;
  for (const double value : values) pieces.push_back(shortest(value));
  return join(pieces, ",");
}
inline bool read_numbers(std::string_view text, const Range& range, std::vector<double>& values) {
  std::vector<double> read;
  for (const std::string& piece : split(text, ','))
    if (!range.read(trim(piece), read.emplace_back())) return false;
  values = std::move(read);
  return true;
}
inline Form<std::vector<double>> numbers(const Range& range) {
  return {"NUMBER" + range.text + ",...", Key::Kind::numbers, numbers_text,
          [=](std::string_view text, std::vector<double>& values) { return read_numbers(text, range, values); }};
}
/// The same, and "" for an empty list.
inline Form<std::vector<double>> numbers_or_none(const Range& range) {
  Form<std::vector<double>> form = numbers(range);
  form.read = [read = form.read](std::string_view text, std::vector<double>& values) {
    if (!trim(text).empty()) return read(text, values);
    values.clear();
    return true;
  };
  return form;
}

inline const Form<bool> yes_or_no = {"true|false", Key::Kind::flag,
                                     [](const bool& value) { return std::string(value ? "true" : "false"); },
                                     [](std::string_view text, bool& value) {
                                       value = text == "true" || (text != "false" && value);
                                       return text == "true" || text == "false";
                                     }};

/// Any text.
inline Form<std::string> text(const std::string& takes) {
  return {takes, Key::Kind::text, [](const std::string& value) { return value; },
          [](std::string_view given, std::string& value) {
            value = given;
            return true;
          }};
}

/// A value that to_string() writes and `parse` reads. `parse` throws a UsageError for text that is not a value.
template <class Value>
Form<Value> parsed(const std::string& takes, Value (*parse)(const std::string&)) {
  return {takes, Key::Kind::text, [](const Value& value) { return to_string(value); },
          [=](std::string_view given, Value& value) {
            value = parse(std::string(given));
            return true;
          }};
}

/// One of several words. If the field is an enumeration, the words are in its order.
struct OneOf {
  std::vector<std::string> words;

  template <class Value>
  operator Form<Value>() const {  // NOLINT(google-explicit-constructor): as for Range
    return {join(words, "|"), Key::Kind::text,
            [words = words](const Value& value) {
              if constexpr (std::is_enum_v<Value>)
                return words.at(static_cast<std::size_t>(value));
              else
                return value;
            },
            [words = words](std::string_view text, Value& value) {
              const auto found = std::find(words.begin(), words.end(), text);
              if (found == words.end()) return false;
              if constexpr (std::is_enum_v<Value>)
                value = static_cast<Value>(found - words.begin());
              else
                value = *found;
              return true;
            }};
  }
};
inline OneOf one_of(std::vector<std::string> words) { return {std::move(words)}; }
/// The names of a table's rows, preceded by other words.
template <class Rows>
OneOf row_of(const Rows& rows, std::vector<std::string> others = {}) {
  for (const auto& row : rows) others.push_back(row.name);
  return {std::move(others)};
}

}  // namespace grapes::experiment
