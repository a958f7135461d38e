#include "grapes/record/record.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"
#include "grapes/record/bits.h"
#include "grapes/record/events.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <string_view>
#include <system_error>

namespace grapes::record {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 5> state_names = {"running", "finished", "interrupted", "diverged", "failed"};

Json parse(const std::string& text, const std::string& where) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw DataError(where + ": invalid JSON: " + error.what());
  }
}

Json read_object(const fs::path& path) {
  Json object = parse(read_file(path), path.string());
  if (!object.is_object()) throw DataError(path.string() + ": expected a JSON object");
  return object;
}

/// Returns a field of a record's file. @throws DataError with the names of both
template <class T>
T field(const Json& object, const char* name, const fs::path& path) {
  try {
    return object.at(name).get<T>();
  } catch (const Json::exception& error) {
    throw DataError(path.string() + ": field '" + name + "': " + error.what());
  }
}

Identity read_identity(const fs::path& path) {
  const Json object = read_object(path);
  return {field<std::string>(object, "arm", path),   field<std::uint64_t>(object, "seed", path),
          field<std::string>(object, "data", path),  field<std::string>(object, "model", path),
          field<std::string>(object, "score", path), field<std::string>(object, "pairing", path)};
}

Status read_status(const fs::path& path) {
  const Json object = read_object(path);
  const auto name = field<std::string>(object, "state", path);
  const auto* const found = std::find(state_names.begin(), state_names.end(), name);
  if (found == state_names.end())
    throw DataError(path.string() + ": field 'state': '" + name + "' is not one of " +
                    join({state_names.begin(), state_names.end()}, ", "));
  return {static_cast<State>(found - state_names.begin()), field<std::int64_t>(object, "epoch", path),
          field<std::int64_t>(object, "step", path), field<std::string>(object, "message", path),
          object.value("counts", std::int64_t{-1})};
}

/// Reads the rows of metrics.jsonl. Text after the last line feed is a row that was cut short by a crash; it is
/// ignored.
std::vector<Json> read_epochs(const fs::path& path) {
  std::vector<std::string> lines = split(read_file(path), '\n');
  lines.pop_back();
  std::vector<Json> rows;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string where = path.string() + ": line " + std::to_string(i + 1);
    Json row = parse(lines[i], where);
    if (!row.is_object() || !row.contains("epoch") || !row["epoch"].is_number_integer())
      throw DataError(where + ": expected an object with an integer 'epoch'");
    if (!rows.empty() && row["epoch"] <= rows.back()["epoch"])
      throw DataError(where + ": epoch " + row["epoch"].dump() + " after epoch " + rows.back()["epoch"].dump());
    rows.push_back(std::move(row));
  }
  return rows;
}

const Json& result_row(const std::vector<Json>& epochs, const Status& status) {
  for (const Json& row : epochs)
    if (status.counts >= 0 && row.at("epoch") == status.counts) return row;
  return epochs.back();
}

void flatten(const Json& value, const std::string& name, std::vector<std::pair<std::string, std::string>>& cells) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) flatten(inner, name + "." + key, cells);
  } else if (value.is_number() || value.is_null()) {
    cells.emplace_back(name, value.is_null() ? "" : value.dump());
  }  // histograms are only in metrics.jsonl, because they do not fit a table
}

/// Converts one row to (column, text): common columns first, then the rest, then the layers in their order.
std::vector<std::pair<std::string, std::string>> flat(const Json& row) {
  static const std::vector<std::string> first = {"epoch", "step", "learning_rate"};
  std::vector<std::pair<std::string, std::string>> cells;
  for (const std::string& key : first)
    if (row.contains(key)) flatten(row[key], key, cells);
  for (const auto& [key, value] : row.items())
    if (std::find(first.begin(), first.end(), key) == first.end()) flatten(value, key, cells);
  for (const Json& layer : row.value("layers", Json::array()))
    for (const auto& [key, value] : layer.items())
      flatten(value, "layer." + layer.value("name", "?") + "." + key, cells);
  return cells;
}

std::string csv(const std::vector<Json>& rows) {
  std::vector<std::string> columns;
  for (const Json& row : rows)
    for (const auto& [name, text] : flat(row))
      if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
  std::string text = join(columns, ",") + "\n";
  for (const Json& row : rows) {
    const auto cells = flat(row);
    std::vector<std::string> line;
    for (const std::string& column : columns) {
      const auto cell = std::find_if(cells.begin(), cells.end(), [&](const auto& c) { return c.first == column; });
      line.push_back(cell == cells.end() ? "" : cell->second);
    }
    text += join(line, ",") + "\n";
  }
  return text;
}

const char* const correct_file = "test-correct.npy";
const char* const events_file = "events.out.tfevents.grapes";  // TensorBoard recognizes the file by a part of its name

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Adds the missing events: the file has none for the last rows after a crash, and is missing in older records.
void resume_events(const fs::path& path, const std::vector<Json>& rows) {
  std::error_code error;
  const std::string file = fs::exists(path, error) ? read_file(path) : "";
  const Events kept = whole_events(file, 1 + rows.size());
  std::string text(kept.bytes);
  if (kept.count == 0) text = first_event(seconds_now());
  for (std::size_t i = kept.count == 0 ? 0 : kept.count - 1; i < rows.size(); ++i)
    text += event(rows[i], seconds_now());
  write_file(path, text);
}

void collect(const fs::path& folder, std::set<fs::path>& found) {
  if (is_run(folder)) {
    found.insert(fs::canonical(folder));
    return;
  }
  for (const auto& entry : fs::directory_iterator(folder))
    if (const std::string name = entry.path().filename();
        name != "tuning" && name.find(claim_mark) == std::string::npos && entry.is_directory())
      collect(entry.path(), found);
}

/// Returns the runs in a folder, sorted.
std::set<fs::path> runs_in(const fs::path& folder) {
  std::set<fs::path> found;
  try {
    collect(folder, found);
  } catch (const fs::filesystem_error& error) {
    throw DataError("cannot read " + folder.string() + ": " + error.code().message());
  }
  return found;
}

}  // namespace

std::string to_string(State state) { return std::string(state_names.at(static_cast<std::size_t>(state))); }

Writer Writer::create(const fs::path& folder, const Identity& identity, const std::string& config, const Json& env) {
  if (is_run(folder))
    throw DataError(folder.string() + " already contains a run: choose another folder, or resume that run");
  Writer writer(folder);
  write_file(folder / "env.json", env.dump(2) + "\n");
  write_file(folder / "metrics.jsonl", "");
  write_file(folder / events_file, first_event(seconds_now()));
  write_file(folder / "log.txt", "");
  writer.status({});
  writer.describe(identity, config);  // written last, because it marks the folder as a run
  return writer;
}

void Writer::describe(const Identity& identity, const std::string& config) {
  write_file(folder_ / "config.toml", config);
  const Json run = {{"arm", identity.arm},     {"seed", identity.seed},   {"data", identity.data},
                    {"model", identity.model}, {"score", identity.score}, {"pairing", identity.pairing}};
  write_file(folder_ / "run.json", run.dump(2) + "\n");
}

Writer Writer::resume(const fs::path& folder, std::int64_t epoch) {
  if (!is_run(folder)) throw DataError(folder.string() + " contains no run to resume: run.json is missing");
  const fs::path path = folder / "metrics.jsonl";
  std::string kept;
  std::vector<Json> rows = read_epochs(path);
  std::erase_if(rows, [epoch](const Json& row) { return row["epoch"] > epoch; });
  for (const Json& row : rows) kept += row.dump() + "\n";
  write_file(path, kept);
  resume_events(folder / events_file, rows);
  return Writer(folder);
}

void Writer::epoch(const Json& row) {
  append_line(folder_ / "metrics.jsonl", row.dump());
  append_file(folder_ / events_file, event(row, seconds_now()));
}

void Writer::status(const Status& status) {
  const Json object = {{"state", to_string(status.state)},
                       {"epoch", status.epoch},
                       {"step", status.step},
                       {"message", status.message},
                       {"counts", status.counts}};
  write_file(folder_ / "status.json", object.dump(2) + "\n");
}

void Writer::samples(const Json& samples) { write_file(folder_ / "samples.json", samples.dump() + "\n"); }

void Writer::test_correct(const std::vector<bool>& flags) { write_file(folder_ / correct_file, packed_bits(flags)); }

void Writer::finish(const Status& status) {
  write_file(folder_ / "metrics.csv", csv(read_epochs(folder_ / "metrics.jsonl")));
  this->status(status);
}

void Writer::log(const std::string& line) { append_line(folder_ / "log.txt", utc_now() + " " + line); }

bool is_run(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / "run.json", error);
}

Status load_status(const fs::path& folder) { return read_status(folder / "status.json"); }

Run load(const fs::path& folder) {
  if (!is_run(folder)) throw DataError(folder.string() + " is not a run: run.json is missing");
  Run run = {folder,
             read_identity(folder / "run.json"),
             read_file(folder / "config.toml"),
             read_object(folder / "env.json"),
             read_epochs(folder / "metrics.jsonl"),
             read_status(folder / "status.json"),
             fs::exists(folder / "samples.json") ? read_object(folder / "samples.json") : Json()};
  // The file of a run that is continued is still that of its former end.
  if (const fs::path path = folder / correct_file;
      run.status.state == State::finished && !run.epochs.empty() && fs::exists(path))
    run.test_correct = unpacked_bits(read_file(path), field<double>(result_row(run), "test_accuracy", path), path);
  return run;
}

const Json& result_row(const Run& run) { return result_row(run.epochs, run.status); }

double load_score(const fs::path& folder, const std::string& part) {
  const fs::path path = folder / "metrics.jsonl";
  const std::vector<Json> epochs = read_epochs(path);
  if (epochs.empty()) throw DataError(path.string() + ": expected at least one line");
  const std::string score = read_identity(folder / "run.json").score;
  return field<double>(result_row(epochs, load_status(folder)), (part + "_" + score).c_str(), path);
}

bool has_runs(const fs::path& folder) { return !runs_in(folder).empty(); }

std::vector<Run> load_all(const std::vector<fs::path>& folders) {
  std::set<fs::path> found;  // a run that is named twice counts once
  for (const fs::path& folder : folders) {
    std::set<fs::path> here = runs_in(folder);
    if (here.empty()) throw DataError(folder.string() + " contains no run: no run.json in it or its subfolders");
    found.merge(here);
  }
  std::vector<Run> runs;
  runs.reserve(found.size());
  for (const fs::path& folder : found) runs.push_back(load(folder));
  return runs;
}

}  // namespace grapes::record
