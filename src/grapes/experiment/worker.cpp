#include "grapes/experiment/worker.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <system_error>
#include <utility>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

std::string text_of(const fs::path& path) {
  try {
    return read_file(path);
  } catch (const DataError&) {
    return "";
  }
}

/// Returns the machine since its last start, and the namespace in which process numbers count.
std::string boot_of_this_machine() {
  struct stat space {};
  const bool known = ::stat("/proc/self/ns/pid", &space) == 0;
  return fmt::format("{} {}", trim(text_of("/proc/sys/kernel/random/boot_id")), known ? space.st_ino : 0);
}

/// Returns when a process of this machine started, in ticks; "" if it has ended.
std::string start_of(std::int64_t pid) {
  const std::string text = text_of(fmt::format("/proc/{}/stat", pid));
  const auto end = text.rfind(')');  // of the program's name, which may contain anything
  if (end == std::string::npos) return "";
  const std::vector<std::string> fields = split(trim(std::string_view(text).substr(end + 1)), ' ');
  constexpr std::size_t state = 0, start = 19;
  return fields.size() > start && fields[state] != "Z" && fields[state] != "X" ? fields[start] : "";
}

record::Json to_json(const Presence& one) {
  record::Json runs = record::Json::array();
  for (const Activity& run : one.runs)
    runs.push_back({{"run", run.run},
                    {"epochs_done", run.epochs_done},
                    {"epochs", run.epochs},
                    {"seconds", run.seconds},
                    {"begun", run.begun}});
  return {{"host", one.host}, {"pid", one.pid},     {"boot", one.boot}, {"start", one.start},
          {"beat", one.beat}, {"every", one.every}, {"runs", runs}};
}

std::optional<Presence> presence(const std::string& id, const std::string& text) {
  const record::Json object = record::Json::parse(text, nullptr, false);
  try {
    Presence one{id,
                 object.at("host"),
                 object.at("pid"),
                 object.at("boot"),
                 object.at("start"),
                 object.at("beat"),
                 object.at("every"),
                 {}};
    for (const record::Json& run : object.at("runs"))
      one.runs.push_back({run.at("run"), run.at("epochs_done"), run.at("epochs"), run.at("seconds"), run.at("begun")});
    return one;
  } catch (const record::Json::exception&) {
    return {};
  }
}

/// Calls a function with the path of every entry of a folder; files that appear or vanish meanwhile are no error.
template <class Function>
void for_each_in(const fs::path& folder, const Function& function) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    function(entry->path());
}

/// Removes a worker's file, and what was left of it when a write was cut short.
void remove_file(const fs::path& workers, const std::string& id) {
  std::error_code error;
  for_each_in(workers, [&](const fs::path& path) {
    if (path.filename().string().starts_with(id + ".json")) fs::remove(path, error);
  });
}

}  // namespace

bool has_workers(const fs::path& study) {
  std::error_code error;
  return fs::is_directory(study / "workers", error);
}

bool Watch::unchanged(const std::string& what, std::int64_t beat, double seconds, Clock::time_point when) {
  const auto [entry, first] = seen_.try_emplace(what, beat, when);
  if (!first && entry->second.first != beat) entry->second = {beat, when};
  return std::chrono::duration<double>(when - entry->second.second).count() > seconds;
}

bool Watch::silent(const std::string& id) {
  static const std::string here = boot_of_this_machine();
  const auto when = Clock::now();  // before the file is read: a beat that is written while we sleep must not look old
  const fs::path path = folder_ / (id + ".json");
  std::error_code error;
  if (!fs::exists(path, error) && !error) return true;
  const std::optional<Presence> one = presence(id, text_of(path));
  if (!one) return false;
  const bool ended = one->boot == here && start_of(one->pid) != one->start;
  return ended || unchanged(id, one->beat, patience * one->every, when);
}

bool Watch::gone(const std::string& id) {
  const bool gone = silent(id);
  if (gone) remove_file(folder_, id);
  return gone;
}

bool Watch::abandoned(const fs::path& path, double every) {
  return unchanged(path.string(), 0, patience * every, Clock::now());
}

std::vector<Presence> Watch::present() const {
  std::vector<Presence> all;
  for_each_in(folder_, [&](const fs::path& path) {
    if (path.extension() != ".json") return;
    if (auto one = presence(path.stem(), text_of(path))) all.push_back(std::move(*one));
  });
  std::ranges::sort(all, {}, &Presence::id);
  return all;
}

Worker::Worker(fs::path study, double every) : study_(std::move(study)), watch_(study_) {
  static std::atomic<unsigned> count = 0;
  const std::string& process = process_name();
  self_.id = fmt::format("{}.{}", process, ++count);
  self_.host = process.substr(0, process.rfind('-', process.rfind('-') - 1));
  self_.pid = ::getpid();
  self_.boot = boot_of_this_machine();
  self_.start = start_of(self_.pid);
  self_.every = every;
  write();
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!leave_.wait_for(lock, std::chrono::duration<double>(self_.every), [this] { return leaving_; })) {
      ++self_.beat;
      try {
        write();
      } catch (const DataError&) {
        // The disk may have space again at the next beat. If not, others find this worker gone and take its runs.
      }
    }
  });
}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  leave_.notify_all();
  thread_.join();
  const fs::path workers = study_ / "workers";
  remove_file(workers, self_.id);
  std::error_code error;
  if (complete_) fs::remove(workers, error);  // if it is empty
}

void Worker::write() const { write_file(study_ / "workers" / (self_.id + ".json"), to_json(self_).dump() + "\n"); }

bool Worker::gone(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return id != self_.id && watch_.gone(id);
}

bool Worker::abandoned(const fs::path& claim) {
  const std::lock_guard lock(mutex_);
  return watch_.abandoned(claim, self_.every);
}

void Worker::tell(const Activity& activity) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(self_.runs, activity.run, &Activity::run);
  if (found == self_.runs.end())
    self_.runs.push_back(activity);
  else
    *found = activity;
}

void Worker::end(const std::string& run) {
  const std::lock_guard lock(mutex_);
  std::erase_if(self_.runs, [&](const Activity& one) { return one.run == run; });
}

void Worker::clean(const fs::path& folder) const {
  std::vector<std::string> known = {process_name()};
  for (const Presence& one : watch_.present()) known.push_back(one.id.substr(0, one.id.rfind('.')));
  for_each_in(folder, [&](const fs::path& path) {
    const std::string name = path.filename();
    std::error_code error;
    if (name.ends_with(".part") && std::ranges::none_of(known, [&](const std::string& process) {
          return name.find(process) != std::string::npos;
        }))
      fs::remove(path, error);
  });
}

}  // namespace grapes::experiment
