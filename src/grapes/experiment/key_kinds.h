#pragma once

#include "grapes/base/table.h"
#include "grapes/base/text.h"
#include "grapes/experiment/config.h"

#include <cmath>
#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

/// The kinds of keys: how a field of the configuration is read and written as text.
namespace grapes::experiment {

using Kind = Key::Kind;

/// The way from a configuration to one of its fields, as member pointers one after the other.
template <class... Members>
auto field(Members... path) {
  return [=](auto& config) -> auto& { return (config.*....*path); };
}

[[noreturn]] inline void refuse(const std::string& key, std::string_view value, const std::string& takes) {
  throw UsageError(key + " = '" + std::string(value) + "': takes " + takes);
}

struct Range {
  std::string text;
  std::function<bool(double)> holds;
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
/// A part of the examples, or how many of them.
inline Range part() {
  return {" >= 0, < 1, or a whole count", [](double x) { return x >= 0 && (x < 1 || x == std::floor(x)); }};
}

inline std::string number_text(double value) { return shortest(value); }
template <std::integral Integer>
std::string number_text(Integer value) {
  return std::to_string(value);
}

template <class Field>
Key number(const std::string& name, const std::string& group, const std::string& meaning, const Range& range,
           Field at) {
  using Value = std::remove_cvref_t<decltype(at(std::declval<Config&>()))>;
  const std::string takes = (std::integral<Value> ? "WHOLE NUMBER" : "NUMBER") + range.text;
  return {name,
          group,
          meaning,
          takes,
          Kind::number,
          [=](const Config& config) { return number_text(at(config)); },
          [=](Config& config, std::string_view value) {
            if constexpr (std::integral<Value>) {
              const auto x = to_integer(value);
              if (!x || !range.holds(static_cast<double>(*x))) refuse(name, value, takes);
              at(config) = static_cast<Value>(*x);
            } else {
              const auto x = to_double(value);
              if (!x || !std::isfinite(*x) || !range.holds(*x)) refuse(name, value, takes);
              at(config) = *x;
            }
          }};
}

template <class Field>
Key flag(const std::string& name, const std::string& group, const std::string& meaning, Field at) {
  return {name,
          group,
          meaning,
          "true|false",
          Kind::flag,
          [=](const Config& config) { return std::string(at(config) ? "true" : "false"); },
          [=](Config& config, std::string_view value) {
            if (value != "true" && value != "false") refuse(name, value, "true or false");
            at(config) = value == "true";
          }};
}

template <class Field>
Key text(const std::string& name, const std::string& group, const std::string& meaning, const std::string& values,
         Field at) {
  return {name,
          group,
          meaning,
          values,
          Kind::text,
          [=](const Config& config) { return at(config); },
          [=](Config& config, std::string_view value) { at(config) = std::string(value); }};
}

/// A text that `check` reads, and throws a UsageError if it cannot be.
template <class Field, class Check>
Key checked(const std::string& name, const std::string& group, const std::string& meaning, const std::string& values,
            Field at, Check check) {
  Key key = text(name, group, meaning, values, at);
  key.set = [=](Config& config, std::string_view value) {
    check(std::string(value));
    at(config) = std::string(value);
  };
  return key;
}

/// One of some words; by its number where the field is an enumeration.
struct Choice {
  std::string name;
};
using Choices = std::vector<Choice>;

template <class Rows>
Choices names(const Rows& rows) {
  Choices result;
  for (const auto& row : rows) result.push_back({row.name});
  return result;
}

inline std::string alternatives(const Choices& choices) {
  std::vector<std::string> words;
  for (const Choice& choice : choices) words.push_back(choice.name);
  return join(words, "|");
}

template <class Field>
Key choice(const std::string& name, const std::string& group, const std::string& meaning, const Choices& choices,
           Field at) {
  using Value = std::remove_cvref_t<decltype(at(std::declval<Config&>()))>;
  return {name,
          group,
          meaning,
          alternatives(choices),
          Kind::text,
          [=](const Config& config) {
            if constexpr (std::is_enum_v<Value>)
              return choices.at(static_cast<std::size_t>(at(config))).name;
            else
              return at(config);
          },
          [=](Config& config, std::string_view value) {
            const Choice& found = find_row(choices, name, value);
            if constexpr (std::is_enum_v<Value>)
              at(config) = static_cast<Value>(&found - choices.data());
            else
              at(config) = found.name;
          }};
}

inline std::vector<double> numbers_from(const std::string& key, std::string_view value, std::string_view list,
                                        const Range& range, const std::string& takes) {
  std::vector<double> result;
  for (const std::string& piece : split(list, ',')) {
    const auto x = to_double(trim(piece));
    if (!x || !std::isfinite(*x) || !range.holds(*x)) refuse(key, value, takes);
    result.push_back(*x);
  }
  return result;
}

inline std::string numbers_text(const std::vector<double>& values) {
  std::vector<std::string> pieces;
  for (const double value : values) pieces.push_back(shortest(value));
  return join(pieces, ",");
}

}  // namespace grapes::experiment
