#include "grapes/dist/group.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"
#include "grapes/base/stopwatch.h"
#include "grapes/base/text.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#ifdef GRAPES_GLOO
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif
#include <netdb.h>
#include <sys/socket.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#endif

namespace grapes::dist {

#ifdef GRAPES_GLOO

std::string gloo_missing() { return ""; }

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

c10::intrusive_ptr<c10d::TCPStore> connect_to(const Place& place, bool serve, double timeout) {
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

struct Group::Link {
  Link(Group& group, double seconds);
  ~Link();

  Group& group;
  double timeout;
  std::string prefix;
  c10::intrusive_ptr<c10d::TCPStore> store, store_of_beats;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
  struct Member {
    std::string host, process;
    std::string master;  // the address that MASTER_ADDR stands for on its machine
  };
  std::vector<Member> members;
  std::atomic<std::int64_t> operations{0};  // that this process has started
  bool broken = false;                      // operations are no longer possible
  bool reachable = true;                    // whether the store, which rank 0 serves, can be reached

  std::mutex mutex;
  std::condition_variable woken;
  bool leaving = false;
  std::thread beats;

  std::string get(const std::string& key) {
    const std::vector<std::uint8_t> value = store->get(prefix + key);
    return {value.begin(), value.end()};
  }
  void set(const std::string& key, const std::string& value) { store->set(prefix + key, bytes_of(value)); }
  bool has(const std::string& key) { return store->check({prefix + key}); }
  std::string name_of(int rank) const;

  void meet(const Addresses& addresses);
  void connect_gloo(std::string address);
  void beat_until_left();
  std::vector<std::string> exchange(const std::string& topic, const std::string& mine, bool patient = false);
  Wait wait_for(const c10::intrusive_ptr<c10d::ProcessGroupGloo>& gloo, std::vector<at::Tensor> tensors, bool sum);
  void wait_while_alive(const std::function<std::string(int)>& key);
  /// Publishes the reason unless another process did it first. @return the reason that was published first
  std::string publish(const std::string& reason);
  std::string find_reason(const std::string& symptom);
  void disconnect();
  void leave(bool informed);
};

Group::Link::Link(Group& of, double seconds)
    : group(of), timeout(seconds), prefix(fmt::format("grapes/{}/", of.place_.restarts)) {
  const Place& place = group.place_;
  try {
    store = connect_to(place, place.first(), timeout);
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
  const auto tell = [&](const std::string& why) {
    publish(why);
    if (place.first()) sleep_for(3 * beat);  // the others read the reason from the store of rank 0
  };
  try {
    const Addresses addresses = addresses_toward(place.master, place.port);
    meet(addresses);
    connect_gloo(addresses.mine);
    store_of_beats = connect_to(place, false, timeout);
  } catch (const Error& error) {
    tell(error.what());
    throw;
  } catch (const std::exception& error) {  // of c10d and Gloo
    const std::string said = error.what();
    const std::string why = fmt::format("{} cannot connect: {}", name_of(place.rank), said.substr(0, said.find('\n')));
    tell(why);
    throw RunError(why);
  }
  beats = std::thread([this] { beat_until_left(); });
}

void Group::Link::connect_gloo(std::string address) {
  const Place& place = group.place_;
  // On rank 0, MASTER_ADDR is the machine's own name, which often stands for a loopback address. The processes on other
  // machines know the address by which they reach it.
  if (is_loopback(address))
    for (const Member& member : members)
      if (!member.master.empty() && !is_loopback(member.master)) address = member.master;
  // An operation fails before `timeout` has passed, to leave time to find the reason.
  auto options = c10d::ProcessGroupGloo::Options::create(in_milliseconds(std::max(timeout - 4, timeout / 2)));
  const std::string interface = environment()("GLOO_SOCKET_IFNAME").value_or("");
  options->devices.push_back(!interface.empty() ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                             : address.empty()  ? c10d::ProcessGroupGloo::createDefaultDevice()
                                                : c10d::ProcessGroupGloo::createDeviceForHostname(address));
  options->threads = 2;
  gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>(prefix + "gloo", store),
                                                     place.rank, place.world, options);
}

Group::Link::~Link() {
  if (!broken) try {  // rank 0 has the store, so it leaves last
      store->add(prefix + "left", 1);
      const Stopwatch watch;
      while (group.first() && store->add(prefix + "left", 0) < group.size() && watch.seconds() < timeout)
        sleep_for(0.01);
    } catch (const std::exception&) {  // rank 0 has left; nothing is lost
    }
  {
    const std::lock_guard lock(mutex);
    leaving = true;
  }
  woken.notify_all();
  if (beats.joinable()) beats.join();
}

std::string Group::Link::name_of(int rank) const {
  const std::string name = fmt::format("rank {} of {}", rank, group.size());
  const auto place = static_cast<std::size_t>(rank);
  if (place >= members.size()) return name;
  return fmt::format("{} on {} (process {})", name, members[place].host, members[place].process);
}

void Group::Link::meet(const Addresses& addresses) {
  const Place& place = group.place_;
  if (store->add(fmt::format("{}rank {}", prefix, place.rank), 1) > 1)
    throw UsageError(fmt::format("two processes have rank {}; each must have its own", place.rank));
  const std::vector<std::string> all =
      exchange("members", fmt::format("{}\n{}\n{}\n{}", host_name(), getpid(), place.world, addresses.theirs));
  for (const std::string& one : all) {
    const std::vector<std::string> lines = split(one, '\n');
    members.push_back({lines.at(0), lines.at(1), lines.at(3)});
    if (lines.at(2) != std::to_string(place.world))
      throw UsageError(
          fmt::format("{} was started as one of {} processes, and rank {} as one of {}: all must have the "
                      "same WORLD_SIZE",
                      name_of(static_cast<int>(members.size()) - 1), lines[2], place.rank, place.world));
  }
}

void Group::Link::beat_until_left() {
  std::unique_lock lock(mutex);
  for (std::int64_t count = 0; !leaving; ++count) {
    try {
      store_of_beats->set(fmt::format("{}beat {}", prefix, group.rank()),
                          bytes_of(fmt::format("{} {}", count, operations.load())));
    } catch (const std::exception&) {  // rank 0 is gone, which the next operation finds
      return;
    }
    woken.wait_for(lock, duration<double>(beat));
  }
}

std::vector<std::string> Group::Link::exchange(const std::string& topic, const std::string& mine, bool patient) {
  const auto key = [&](int rank) { return fmt::format("{} {}", topic, rank); };
  const int world = group.size();
  try {
    set(key(group.rank()), mine);
    std::vector<std::string> keys;
    for (int rank = 0; rank < world; ++rank) keys.push_back(prefix + key(rank));
    if (patient) wait_while_alive(key);
    store->wait(keys, in_milliseconds(timeout));
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
    throw RunError(fmt::format("{} of {} processes did not arrive within {:.0f} s: {}", missing.size(), world, timeout,
                               fmt::join(missing, ", ")));
  }
}

/// Waits for the keys of all ranks, until all are there, a process has failed, or those that are missing have given no
/// sign of life for `timeout` seconds.
void Group::Link::wait_while_alive(const std::function<std::string(int)>& key) {
  std::vector<std::string> last(static_cast<std::size_t>(group.size()));
  for (Stopwatch silent; silent.seconds() < timeout && !has("failure"); sleep_for(beat / 5)) {
    bool all = true;
    for (int rank = 0; rank < group.size(); ++rank) {
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

std::string Group::Link::publish(const std::string& reason) {
  try {
    if (store->add(prefix + "failures", 1) == 1) set("failure", reason);
    return get("failure");
  } catch (const std::exception&) {
    return reason;
  }
}

/// Which process is the cause? One that said so; else one that gives no sign of life; else those that have started
/// fewer operations than the others.
std::string Group::Link::find_reason(const std::string& symptom) {
  const auto read = [&] {
    std::vector<std::string> all;
    for (int rank = 0; rank < group.size(); ++rank) all.push_back(get(fmt::format("beat {}", rank)));
    return all;
  };
  try {
    store->setTimeout(in_milliseconds(4 * beat));  // rank 0 may be unreachable
    const std::vector<std::string> before = read();
    const Stopwatch watch;
    while (watch.seconds() < 3 * beat) {
      if (has("failure")) return get("failure");
      sleep_for(beat / 5);
    }
    const std::vector<std::string> after = read();
    std::int64_t most = operations;
    std::vector<std::int64_t> started;
    std::vector<std::string> silent, behind;
    for (int rank = 0; rank < group.size(); ++rank) {
      const auto place = static_cast<std::size_t>(rank);
      if (after[place] == before[place] && rank != group.rank()) silent.push_back(name_of(rank));
      started.push_back(to_integer(after[place].substr(after[place].find(' ') + 1)).value_or(0));
      most = std::max(most, started.back());
    }
    for (int rank = 0; rank < group.size(); ++rank)
      if (started[static_cast<std::size_t>(rank)] < most && rank != group.rank()) behind.push_back(name_of(rank));
    if (!silent.empty())
      return publish(fmt::format("{} does not answer: it was killed or stopped, or its machine cannot be reached",
                                 fmt::join(silent, ", ")));
    if (!behind.empty())
      return publish(fmt::format("{} runs, but did not take part within {:.0f} s", fmt::join(behind, ", "), timeout));
  } catch (const std::exception&) {
    reachable = false;
    return fmt::format("{} does not answer: it was killed or stopped, or its machine cannot be reached", name_of(0));
  }
  return publish("the connection between processes failed: " + symptom.substr(0, symptom.find('\n')));
}

/// The destructor of Gloo's group waits for all operations that were started; they may never end.
void Group::Link::disconnect() {
  broken = true;
  if (gloo) std::thread([leaving = std::move(gloo)]() mutable { leaving.reset(); }).detach();
}

/// The others read the reason from the store of rank 0, so rank 0 waits for all but the process that failed.
void Group::Link::leave(bool informed) {
  if (!reachable) return;
  try {
    if (informed) store->add(prefix + "informed", 1);
    const Stopwatch watch;
    while (group.first() && store->add(prefix + "informed", 0) < group.size() - 1 && watch.seconds() < 4 * beat)
      sleep_for(beat / 10);
  } catch (const std::exception&) {  // rank 0 has left
  }
}

Wait Group::Link::wait_for(const c10::intrusive_ptr<c10d::ProcessGroupGloo>& of, std::vector<at::Tensor> tensors,
                           bool sum) {
  const auto fail = [this](const std::string& symptom) {
    const std::string reason = find_reason(symptom);
    disconnect();
    leave(true);
    throw RunError(fmt::format("rank {} ends because {}", group.rank(), reason));
  };
  if (broken || !of) throw RunError("the processes of this training are no longer connected");
  ++operations;
  try {
    auto work = sum ? of->allreduce(tensors) : of->broadcast(tensors);
    return [work, fail] {
      try {
        work->wait();
      } catch (const std::exception& error) {
        fail(error.what());
      }
    };
  } catch (const std::exception& error) {
    fail(error.what());
  }
  return {};
}

Group::Group(const Place& place, double timeout) : place_(place) { link_ = std::make_unique<Link>(*this, timeout); }
Group::~Group() = default;

std::string Group::name_of(int rank) const { return link_->name_of(rank); }

std::vector<std::string> Group::exchange(const std::string& topic, const std::string& mine, bool patient) {
  return link_->exchange("exchange of " + topic, mine, patient);
}

Wait Group::start_sum(const at::Tensor& x) { return link_->wait_for(link_->gloo, {x}, true); }

void Group::broadcast(const at::Tensor& x) { link_->wait_for(link_->gloo, {x}, false)(); }

void Group::fail(const std::string& why) noexcept {
  try {
    if (link_->broken) return;
    link_->publish(fmt::format("{} failed: {}", name_of(rank()), why));
    link_->disconnect();
    link_->leave(false);
  } catch (...) {  // the others then find the reason by themselves
  }
}

#else

std::string gloo_missing() {
  return "this build has no Gloo: Debian's packages libtorch-dev and libgloo-dev have it, and PyTorch from PyPI lacks "
         "Gloo's headers";
}

struct Group::Link {};
Group::Group(const Place&, double) {
  throw UsageError("training in several processes is not possible: " + gloo_missing());
}
Group::~Group() = default;
std::string Group::name_of(int) const { return {}; }
std::vector<std::string> Group::exchange(const std::string&, const std::string&, bool) { return {}; }
Wait Group::start_sum(const at::Tensor&) { return {}; }
void Group::broadcast(const at::Tensor&) {}
void Group::fail(const std::string&) noexcept {}

#endif

void Group::require_same(const std::string& what, const std::string& mine) {
  const std::vector<std::string> all = exchange(what, mine);
  const std::vector<std::string> wanted = split(all.at(0), '\n');
  for (int rank = 1; rank < size(); ++rank) {
    const std::vector<std::string> lines = split(all[static_cast<std::size_t>(rank)], '\n');
    for (std::size_t i = 0; i < std::max(lines.size(), wanted.size()); ++i) {
      const auto line = [&](const std::vector<std::string>& of) { return i < of.size() ? of[i] : "nothing"; };
      if (line(lines) != line(wanted))
        throw UsageError(fmt::format("all processes must have the same {}: {} has '{}', and rank 0 has '{}'", what,
                                     name_of(rank), line(lines), line(wanted)));
    }
  }
}

std::string Group::broadcast(const std::string& text) {
  const at::Tensor length = at::empty({1}, at::kLong);
  length.fill_(static_cast<std::int64_t>(text.size()));
  broadcast(length);
  const at::Tensor bytes = at::empty({length.item<std::int64_t>()}, at::kByte);
  auto* data = reinterpret_cast<char*>(bytes.data_ptr<std::uint8_t>());
  if (first()) std::copy(text.begin(), text.end(), data);
  if (bytes.numel() > 0) broadcast(bytes);
  return {data, static_cast<std::size_t>(bytes.numel())};
}

}  // namespace grapes::dist
