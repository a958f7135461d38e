#include "grapes/dist/group.h"

#include "grapes/base/error.h"
#include "grapes/base/text.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#ifdef GRAPES_GLOO
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif
#include "grapes/dist/roster.h"

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <chrono>
#include <thread>
#endif

namespace grapes::dist {

#ifdef GRAPES_GLOO

std::string gloo_missing() { return ""; }

struct Group::Link {
  Link(const Place& place, double timeout) : rank(place.rank), roster(place, timeout) {
    roster.join([&] { connect(place, timeout); });
  }

  int rank;
  Roster roster;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;  // null after a failure

  void connect(const Place& place, double timeout);
  /// Starts an operation. @return waits for it, and throws with the reason if it fails
  template <class Operation>
  Wait start(const Operation& operation);
  void disconnect();
};

void Group::Link::connect(const Place& place, double timeout) {
  // An operation fails before `timeout` has passed, to leave time to find the reason.
  const std::chrono::duration<double> limit(std::max(timeout - 4, timeout / 2));
  auto options = c10d::ProcessGroupGloo::Options::create(std::chrono::duration_cast<std::chrono::milliseconds>(limit));
  const std::string interface = environment()("GLOO_SOCKET_IFNAME").value_or(""), address = roster.address();
  options->devices.push_back(!interface.empty() ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                             : address.empty()  ? c10d::ProcessGroupGloo::createDefaultDevice()
                                                : c10d::ProcessGroupGloo::createDeviceForHostname(address));
  options->threads = 2;
  gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(roster.store("gloo"), place.rank, place.world, options);
}

/// The destructor of Gloo's group waits for all operations that were started; they may never end.
void Group::Link::disconnect() {
  if (gloo) std::thread([leaving = std::move(gloo)]() mutable { leaving.reset(); }).detach();
}

template <class Operation>
Wait Group::Link::start(const Operation& operation) {
  const auto fail = [this](const std::string& symptom) {
    const std::string reason = roster.find_reason(symptom);
    disconnect();
    roster.leave(true);
    throw RunError(fmt::format("rank {} ends because {}", rank, reason));
  };
  if (!gloo) throw RunError("the processes of this training are no longer connected");
  roster.count_operation();
  try {
    return [work = operation(*gloo), fail] {
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

Group::Group(const Place& place, double timeout) : place_(place), link_(std::make_unique<Link>(place, timeout)) {}
Group::~Group() = default;

std::string Group::name_of(int rank) const { return link_->roster.name_of(rank); }

std::vector<std::string> Group::exchange(const std::string& mine, bool patient) {
  return link_->roster.exchange(mine, patient);
}

Wait Group::start_sum(const at::Tensor& x) {
  return link_->start([&](c10d::ProcessGroupGloo& gloo) {
    std::vector<at::Tensor> tensors = {x};
    return gloo.allreduce(tensors);
  });
}

void Group::broadcast(const at::Tensor& x) {
  link_->start([&](c10d::ProcessGroupGloo& gloo) {
    std::vector<at::Tensor> tensors = {x};
    return gloo.broadcast(tensors);
  })();
}

void Group::fail(const std::string& why) noexcept {
  try {
    if (!link_->gloo) return;
    link_->roster.publish(fmt::format("{} failed: {}", name_of(rank()), why));
    link_->disconnect();
    link_->roster.leave(false);
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
std::vector<std::string> Group::exchange(const std::string&, bool) { return {}; }
Wait Group::start_sum(const at::Tensor&) { return {}; }
void Group::broadcast(const at::Tensor&) {}
void Group::fail(const std::string&) noexcept {}

#endif

void Group::require_same(const std::string& what, const std::string& mine) {
  const std::vector<std::string> all = exchange(mine);
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
