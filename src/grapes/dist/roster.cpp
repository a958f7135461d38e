#include "grapes/dist/roster.h"

#ifdef GRAPES_GLOO

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/stopwatch.h"
#include "grapes/base/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netdb.h>
#include <sys/socket.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace grapes::dist {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;

/// Seconds between the signs of life of a process.
constexpr double beat = 0.5;

milliseconds in_milliseconds(double seconds) { return milliseconds(static_cast<std::int64_t>(seconds * 1000)); }

void sleep_for(double seconds) { std::this_thread::sleep_for(duration<double>(seconds)); }

std::string numeric(const sockaddr* address, socklen_t length) {
  char text[256] = {};
  return getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0 ? text : "";
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

/// The two ends of a connection to a host, as numbers; "" if the host is unknown.
struct Addresses {
  std::string mine;    // the address of this machine on the network of the host
  std::string theirs;  // the address that the name of the host stands for on this machine
};

Addresses addresses_toward(const std::string& host, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return {};
  Addresses addresses;
  for (const addrinfo* one = found; one != nullptr && addresses.mine.empty(); one = one->ai_next) {
    const int socket = ::socket(one->ai_family, SOCK_DGRAM, 0);  // connecting it sends nothing
    if (socket < 0) continue;
    sockaddr_storage mine{};
    socklen_t length = sizeof mine;
    if (connect(socket, one->ai_addr, one->ai_addrlen) == 0 &&
        getsockname(socket, reinterpret_cast<sockaddr*>(&mine), &length) == 0)
      addresses = {numeric(reinterpret_cast<sockaddr*>(&mine), length), numeric(one->ai_addr, one->ai_addrlen)};
    close(socket);
  }
  freeaddrinfo(found);
  return addresses;
}

c10::intrusive_ptr<c10d::Store> connect_to(const Place& place, bool serve, double timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(place.port);
  options.isServer = serve;
  options.numWorkers = static_cast<std::size_t>(place.world);
  options.waitWorkers = false;
  options.timeout = in_milliseconds(timeout);
  return c10::make_intrusive<c10d::TCPStore>(place.master, options);
}

std::vector<std::uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace

Roster::Roster(const Place& place, double timeout)
    : place_(place), timeout_(timeout), prefix_(fmt::format("grapes/{}/", place.restarts)) {
  try {
    store_ = connect_to(place, place.first(), timeout);
  } catch (const std::exception& error) {
    const std::string address = fmt::format("{}:{}", place.master, place.port);
    if (place.first())
      throw RunError(
          fmt::format("rank 0 cannot listen at {}: set MASTER_PORT to a free port, and MASTER_ADDR to this "
                      "machine ({})",
                      address, error.what()));
    throw RunError(
        fmt::format("rank {} of {} did not reach rank 0 at {} within {:.0f} s: check that rank 0 runs, and "
                    "MASTER_ADDR, MASTER_PORT and the firewall",
                    place.rank, place.world, address, timeout));
  }
}

void Roster::join(const std::function<void()>& connect) {
  const auto tell = [&](const std::string& why) {
    publish(why);
    if (place_.first()) sleep_for(3 * beat);  // the others read the reason from the store of rank 0
  };
  try {
    meet();
    connect();
    store_of_beats_ = connect_to(place_, false, timeout_);
  } catch (const Error& error) {
    tell(error.what());
    throw;
  } catch (const std::exception& error) {  // of c10d and Gloo
    const std::string said = error.what();
    const std::string why = fmt::format("{} cannot connect: {}", name_of(place_.rank), said.substr(0, said.find('\n')));
    tell(why);
    throw RunError(why);
  }
  joined_ = true;
  beats_ = std::thread([this] { beat_until_left(); });
}

Roster::~Roster() {
  if (joined_ && !failed_) try {  // rank 0 has the store, so it leaves last
      store_->add(prefix_ + "left", 1);
      const Stopwatch watch;
      while (place_.first() && store_->add(prefix_ + "left", 0) < place_.world && watch.seconds() < timeout_)
        sleep_for(0.01);
    } catch (const std::exception&) {  // rank 0 has left; nothing is lost
    }
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  woken_.notify_all();
  if (beats_.joinable()) beats_.join();
}

std::string Roster::name_of(int rank) const {
  const std::string name = fmt::format("rank {} of {}", rank, place_.world);
  const auto place = static_cast<std::size_t>(rank);
  if (place >= members_.size()) return name;
  return fmt::format("{} on {} (process {})", name, members_[place].host, members_[place].process);
}

c10::intrusive_ptr<c10d::Store> Roster::store(const std::string& name) const {
  return c10::make_intrusive<c10d::PrefixStore>(prefix_ + name, store_);
}

std::string Roster::get(const std::string& key) {
  const std::vector<std::uint8_t> value = store_->get(prefix_ + key);
  return {value.begin(), value.end()};
}

void Roster::set(const std::string& key, const std::string& value) { store_->set(prefix_ + key, bytes_of(value)); }

bool Roster::has(const std::string& key) { return store_->check({prefix_ + key}); }

void Roster::meet() {
  if (store_->add(fmt::format("{}rank {}", prefix_, place_.rank), 1) > 1)
    throw UsageError(fmt::format("two processes have rank {}; each must have its own", place_.rank));
  const Addresses addresses = addresses_toward(place_.master, place_.port);
  address_ = addresses.mine;
  for (const std::string& one :
       exchange(fmt::format("{}\n{}\n{}\n{}", host_name(), getpid(), place_.world, addresses.theirs))) {
    const std::vector<std::string> lines = split(one, '\n');
    members_.push_back({lines.at(0), lines.at(1)});
    if (lines.at(2) != std::to_string(place_.world))
      throw UsageError(
          fmt::format("{} was started as one of {} processes, and rank {} as one of {}: all must have the "
                      "same WORLD_SIZE",
                      name_of(static_cast<int>(members_.size()) - 1), lines[2], place_.rank, place_.world));
    // On rank 0, MASTER_ADDR is the machine's own name, which often stands for a loopback address. The processes on
    // other machines know the address by which they reach it.
    if (const std::string& master = lines.at(3); is_loopback(address_) && !master.empty() && !is_loopback(master))
      address_ = master;
  }
}

void Roster::beat_until_left() {
  std::unique_lock lock(mutex_);
  for (std::int64_t count = 0; !leaving_; ++count) {
    try {
      store_of_beats_->set(fmt::format("{}beat {}", prefix_, place_.rank),
                           bytes_of(fmt::format("{} {}", count, operations_.load())));
    } catch (const std::exception&) {  // rank 0 is gone, which the next operation finds
      return;
    }
    woken_.wait_for(lock, duration<double>(beat));
  }
}

std::vector<std::string> Roster::exchange(const std::string& mine, bool patient) {
  const auto key = [number = exchanges_++](int rank) { return fmt::format("exchange {} {}", number, rank); };
  const int world = place_.world;
  try {
    set(key(place_.rank), mine);
    std::vector<std::string> keys;
    for (int rank = 0; rank < world; ++rank) keys.push_back(prefix_ + key(rank));
    if (patient) wait_while_alive(key);
    store_->wait(keys, in_milliseconds(timeout_));
    std::vector<std::string> all;
    for (int rank = 0; rank < world; ++rank) all.push_back(get(key(rank)));
    return all;
  } catch (const std::exception&) {
    std::vector<std::string> missing;
    try {
      if (has("failure")) throw RunError(get("failure"));
      for (int rank = 0; rank < world; ++rank)
        if (!has(key(rank))) missing.push_back(name_of(rank));
    } catch (const RunError&) {
      throw;
    } catch (const std::exception&) {
    }
    if (missing.empty()) throw RunError("rank 0 has ended, so the other processes end too");
    throw RunError(fmt::format("{} of {} processes did not arrive within {:.0f} s: {}", missing.size(), world, timeout_,
                               fmt::join(missing, ", ")));
  }
}

/// Waits for the keys of all ranks, until all are there, a process has failed, or those that are missing have given no
/// sign of life for the timeout.
void Roster::wait_while_alive(const std::function<std::string(int)>& key) {
  std::vector<std::string> last(static_cast<std::size_t>(place_.world));
  for (Stopwatch silent; silent.seconds() < timeout_ && !has("failure"); sleep_for(beat / 5)) {
    bool all = true;
    for (int rank = 0; rank < place_.world; ++rank) {
      if (has(key(rank))) continue;
      all = false;
      const std::string signs = fmt::format("beat {}", rank);
      std::string& seen = last[static_cast<std::size_t>(rank)];
      if (const std::string now = has(signs) ? get(signs) : ""; now != seen) {
        seen = now;
        silent = {};
      }
    }
    if (all) return;
  }
  if (has("failure")) throw RunError(get("failure"));
}

std::string Roster::publish(const std::string& reason) {
  try {
    if (store_->add(prefix_ + "failures", 1) == 1) set("failure", reason);
    return get("failure");
  } catch (const std::exception&) {
    return reason;
  }
}

std::string Roster::find_reason(const std::string& symptom) {
  const auto read = [&] {
    std::vector<std::string> all;
    for (int rank = 0; rank < place_.world; ++rank) all.push_back(get(fmt::format("beat {}", rank)));
    return all;
  };
  try {
    store_->setTimeout(in_milliseconds(4 * beat));  // rank 0 may be unreachable
    const std::vector<std::string> before = read();
    const Stopwatch watch;
    while (watch.seconds() < 3 * beat) {
      if (has("failure")) return get("failure");
      sleep_for(beat / 5);
    }
    const std::vector<std::string> after = read();
    std::int64_t most = operations_;
    std::vector<std::int64_t> started;
    std::vector<std::string> silent, behind;
    for (int rank = 0; rank < place_.world; ++rank) {
      const auto place = static_cast<std::size_t>(rank);
      if (after[place] == before[place] && rank != place_.rank) silent.push_back(name_of(rank));
      started.push_back(to_integer(after[place].substr(after[place].find(' ') + 1)).value_or(0));
      most = std::max(most, started.back());
    }
    for (int rank = 0; rank < place_.world; ++rank)
      if (started[static_cast<std::size_t>(rank)] < most && rank != place_.rank) behind.push_back(name_of(rank));
    if (!silent.empty())
      return publish(fmt::format("{} does not answer: it was killed or stopped, or its machine cannot be reached",
                                 fmt::join(silent, ", ")));
    if (!behind.empty())
      return publish(fmt::format("{} runs, but did not take part within {:.0f} s", fmt::join(behind, ", "), timeout_));
  } catch (const std::exception&) {
    reachable_ = false;
    return fmt::format("{} does not answer: it was killed or stopped, or its machine cannot be reached", name_of(0));
  }
  return publish("the connection between processes failed: " + symptom.substr(0, symptom.find('\n')));
}

void Roster::leave(bool informed) {
  failed_ = true;
  if (!reachable_) return;
  try {
    if (informed) store_->add(prefix_ + "informed", 1);
    const Stopwatch watch;
    while (place_.first() && store_->add(prefix_ + "informed", 0) < place_.world - 1 && watch.seconds() < 4 * beat)
      sleep_for(beat / 10);
  } catch (const std::exception&) {  // rank 0 has left
  }
}

}  // namespace grapes::dist

#endif
