#pragma once

#include "grapes/data/dataset.h"

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

namespace grapes::data {

/// Sequences of any length, and what is asked about each: a class, or bits at every step.
struct Sequences {
  std::vector<at::Tensor> inputs;  ///< [time, ...] uint8 or float32
  at::Tensor classes;              ///< [n] int64, or undefined
  std::vector<at::Tensor> bits;    ///< [time, outputs] uint8, or empty
};
/// Those with these numbers. @param rows [m] int64
Sequences select(const Sequences& examples, const at::Tensor& rows);
/// get() fills shorter ones of a batch up with zeros.
DatasetPtr sequences(Sequences examples, DatasetInfo info);

/// What a source of sequences holds.
struct SequenceCollection {
  DatasetInfo info;
  Sequences train, test;
  std::optional<Sequences> validation;  ///< where the source has one of its own
  std::string fingerprint;              ///< SHA-256 over the bytes that were read and what was made of them
  std::vector<std::string> notes;
};

/// How events become steps.
struct EventOptions {
  std::int64_t steps = 25;        ///< equal parts of a recording's duration
  std::string values = "spikes";  ///< 1 where there was an event; or "counts": how many
};

/// The JSB chorales (Boulanger-Lewandowski, Bengio, Vincent 2012) as JSON: "train", "valid" and "test", lists of
/// chorales, lists of steps, lists of MIDI notes 21 ... 108. Inputs are the steps but the last, 88 bits, asked for are
/// the steps after them.
SequenceCollection read_chorales(const std::string& bytes, const std::string& file);
/// The next 88 bits of a piano roll, as MIDI writes its notes from this one on.
inline constexpr std::int64_t lowest_note = 21, notes = 88;

/// Recordings of an event camera of 34 x 34 pixels and two polarities, as "NMNISTS1" packs those of N-MNIST (Orchard et
/// al. 2015): inputs [time, polarity, row, column], a digit each.
SequenceCollection read_events(const std::string& bytes, const std::string& file, const EventOptions& options);

/// A small task whose answer needs memory: two cues, each on one of two lines (0 or 1), at the beginning and after a
/// random delay of 5 to 15 steps; asked for is their exclusive or. A third line spikes with the cues, a fourth at
/// random at one step in five. Made from a fixed seed: 2,000 train and 500 test.
SequenceCollection delayed_xor();

}  // namespace grapes::data
