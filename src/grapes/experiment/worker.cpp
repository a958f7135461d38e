#include "grapes/experiment/worker.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

namespace grapes::experiment {
namespace fs = std::filesystem;
namespace {

/// Returns the content of a file, or nothing if it cannot be read for any reason.
std::optional<std::string> readable_text(const fs::path& path) {
  try {
    return read_file_if_exists(path);
  } catch (const DataError&) {
    return {};
  }
}

/// Returns a name of the machine since its last start, and of the namespace in which process numbers count; "" if one
/// of them is unknown.
std::string boot_of_this_machine() {
  struct stat space {};
  const std::string boot(trim(readable_text("/proc/sys/kernel/random/boot_id").value_or("")));
  const bool known = !boot.empty() && ::stat("/proc/self/ns/pid", &space) == 0;
  return known ? fmt::format("{} {}", boot, space.st_ino) : "";
}

/// State and start of a process of this machine.
struct Process {
  bool zombie = false;
  std::string start;  ///< in ticks of the machine
};
/// Reads /proc/PID/stat. @return nothing if it cannot be read, because the process has ended or belongs to another user
std::optional<Process> process(std::int64_t pid) {
  const std::string text = readable_text(fmt::format("/proc/{}/stat", pid)).value_or("");
  const auto end = text.rfind(')');  // of the program's name, which may contain anything
  if (end == std::string::npos) return {};
  const std::vector<std::string> fields = split(trim(std::string_view(text).substr(end + 1)), ' ');
  constexpr std::size_t state = 0, start = 19;
  if (fields.size() <= start) return {};
  return Process{fields[state] == "Z" || fields[state] == "X", fields[start]};
}

/// Returns whether a worker was a process of this host that has ended. If this is unknown, returns false.
bool has_ended(const Presence& worker) {
  static const std::string here = boot_of_this_machine();
  if (here.empty() || worker.boot != here || worker.pid <= 0) return false;
  if (::kill(static_cast<pid_t>(worker.pid), 0) != 0 && errno == ESRCH) return true;
  const std::optional<Process> now = process(worker.pid);
  return now && (now->zombie || (!worker.start.empty() && now->start != worker.start));
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

/// Removes files that a process has not finished writing. Their names contain the name of the process.
void remove_parts_of(const std::string& process, const fs::path& folder) {
  for_each_in(folder, [&](const fs::path& path) {
    const std::string name = path.filename();
    std::error_code error;
    if (name.ends_with(".part") && name.find(process) != std::string::npos) fs::remove(path, error);
  });
}

}  // namespace

bool has_workers(const fs::path& study) {
  std::error_code error;
  return fs::is_directory(study / "workers", error);
}

fs::path Watch::file_of(const std::string& id) const { return study_ / "workers" / (id + ".json"); }

bool Watch::unchanged(const std::string& what, std::int64_t value, double seconds, Clock::time_point when) {
  Seen& seen = seen_.try_emplace(what, Seen{value, when}).first->second;
  if (seen.value != value) seen = {value, when};
  return std::chrono::duration<double>(when - seen.first).count() > seconds;
}

bool Watch::silent(const std::string& id) {
  const auto when = Clock::now();  // before the file is read: a beat that is written while we sleep must not look old
  std::optional<std::string> text;
  try {
    text = read_file_if_exists(file_of(id));
  } catch (const DataError&) {
    return false;  // an error of the network says nothing about the worker
  }
  if (!text) return true;
  const std::optional<Presence> one = presence(id, *text);
  if (!one) return unchanged(id, -1, patience * every_, when);
  return has_ended(*one) || unchanged(id, one->beat, patience * one->every, when);
}

bool Watch::gone(const std::string& id) {
  if (!silent(id)) return false;
  const std::string process = id.substr(0, id.rfind('.'));
  std::error_code error;
  remove_parts_of(process, study_);
  for_each_in(study_, [&](const fs::path& path) {
    if (fs::is_directory(path, error)) remove_parts_of(process, path);
  });
  fs::remove(file_of(id), error);
  seen_.erase(id);
  return true;
}

bool Watch::abandoned(const fs::path& claim) {
  struct stat now {};
  if (::stat(claim.c_str(), &now) != 0) return false;
  // The time tells the folder from a later one with the same name.
  const std::int64_t made = std::int64_t{1000000000} * now.st_mtim.tv_sec + now.st_mtim.tv_nsec;
  return unchanged(claim.string(), made, patience * every_, Clock::now());
}

std::vector<std::string> Watch::ids() const {
  std::vector<std::string> all;
  for_each_in(study_ / "workers", [&](const fs::path& path) {
    if (path.extension() == ".json") all.push_back(path.stem());
  });
  std::ranges::sort(all);
  return all;
}

std::vector<Presence> Watch::present() const {
  std::vector<Presence> all;
  for (const std::string& id : ids())
    if (auto one = presence(id, readable_text(file_of(id)).value_or(""))) all.push_back(std::move(*one));
  return all;
}

Worker::Worker(fs::path study, double every) : study_(std::move(study)), watch_(study_, every) {
  static std::atomic<unsigned> count = 0;
  self_.id = fmt::format("{}.{}", process_name(), ++count);
  self_.host = host_name();
  self_.pid = ::getpid();
  self_.boot = boot_of_this_machine();
  self_.start = process(self_.pid).value_or(Process{}).start;
  self_.every = every;
  write(self_);
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!leave_.wait_for(lock, std::chrono::duration<double>(self_.every), [this] { return leaving_; })) {
      ++self_.beat;
      const Presence self = self_;
      lock.unlock();  // runs that call tell() do not wait for the disk
      try {
        write(self);
      } catch (const DataError&) {
        // The disk may have space again at the next beat. If not, others find this worker gone and take its runs.
      }
      lock.lock();
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
  std::error_code error;
  fs::remove(workers / (self_.id + ".json"), error);
  if (!complete_) return;
  for (const std::string& id : watch_.ids()) watch_.gone(id);  // workers that were killed after their last run
  fs::remove(workers, error);                                  // if it is empty
}

void Worker::write(const Presence& self) const {
  write_file(study_ / "workers" / (self.id + ".json"), to_json(self).dump() + "\n");
}

bool Worker::gone(const std::string& id) {
  const std::lock_guard lock(watching_);
  return id != self_.id && watch_.gone(id);
}

bool Worker::abandoned(const fs::path& claim) {
  const std::lock_guard lock(watching_);
  return watch_.abandoned(claim);
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

}  // namespace grapes::experiment
