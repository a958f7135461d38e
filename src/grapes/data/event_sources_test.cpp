#include "grapes/data/event_sources.h"

#include "grapes/data/events.h"
#include "grapes/data/fetch.h"
#include "grapes/data/open.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <algorithm>
#include <array>

namespace grapes::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string event(int x, int y, int polarity, int time) {
  return {static_cast<char>(x), static_cast<char>(y), static_cast<char>(polarity << 7 | time >> 16),
          static_cast<char>(time >> 8), static_cast<char>(time)};
}

/// A small N-MNIST in a folder.
class Nmnist : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* part : {"Train", "Test"})
      for (int digit = 0; digit < 10; ++digit)
        put(fmt::format("{}/{}/00001.bin", part, digit), event(digit, 0, 1, 0) + event(0, digit, 0, 50));
    put("Train/3/00002.bin", event(5, 7, 1, 0) + event(5, 7, 1, 10) + event(0, 33, 0, 70000) + event(33, 0, 1, 99999));
    options_.data = "nmnist";
    options_.data_dir = folder_.path().string();
    options_.validation_split = 0;
    options_.events.steps = 10;
  }
  void put(const std::string& name, const std::string& bytes) { write_file(folder_.path() / name, bytes); }
  std::string message() {
    return refusal<Error>([&] { open(options_, 1); });
  }
  TemporaryFolder folder_;
  Options options_;
};

TEST_F(Nmnist, EventsAreDividedIntoEqualTimeSteps) {
  const Splits splits = open(options_, 1);
  EXPECT_EQ(splits.train->size(), 11);
  EXPECT_EQ(splits.test->size(), 10);
  EXPECT_TRUE(at::equal(splits.train->targets(), at::tensor({0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9}, at::kLong)));
  const Batch batch = splits.train->get(at::tensor({4, 6}, at::kLong));
  ASSERT_EQ(batch.inputs.sizes(), (at::IntArrayRef{2, 10, 2, 34, 34}));
  EXPECT_TRUE(batch.inputs.transpose(0, 1).is_contiguous());
  EXPECT_TRUE(batch.present.all().item<bool>());
  const at::Tensor one = batch.inputs[0];
  EXPECT_EQ(one.sum().item<int>(), 3);
  EXPECT_EQ(one[0][1][7][5].item<int>(), 1);
  EXPECT_EQ(one[7][0][33][0].item<int>(), 1);
  EXPECT_EQ(one[9][1][0][33].item<int>(), 1);
  EXPECT_EQ(batch.inputs[1].sum().item<int>(), 2);
  options_.events.values = EventValues::counts;
  const Splits counts = open(options_, 1);
  EXPECT_EQ(counts.train->get(at::tensor({4}, at::kLong)).inputs[0][0][1][7][5].item<int>(), 2);
  EXPECT_NE(counts.fingerprint, splits.fingerprint);
  std::vector<std::string> lines;
  EXPECT_TRUE(verify("nmnist", options_.data_dir, [&](const std::string& line) { lines.push_back(line); }));
  EXPECT_THAT(lines, testing::Each(HasSubstr("its SHA-256 is unknown")));
}

TEST_F(Nmnist, ErrorsNameTheFileOrTheField) {
  options_.events.steps = 0;
  EXPECT_THAT(message(), HasSubstr("event_steps 0"));
  options_.events.steps = 10;
  put("Test/9/00001.bin", event(5, 7, 1, 0) + "abc");
  EXPECT_THAT(message(), HasSubstr("Test/9/00001.bin: 8 bytes, expected events of 5 bytes each"));
  put("Test/9/00001.bin", event(34, 7, 1, 0));
  EXPECT_THAT(message(), HasSubstr("Test/9/00001.bin: an event at column 34, row 7, outside the sensor's 34 x 34"));
  std::filesystem::remove_all(folder_.path() / "Test" / "9");
  EXPECT_THAT(message(), HasSubstr("Test/9"));
}

TEST_F(Nmnist, StepsCanHaveEqualEventCountsAndPixelsCanBePooled) {
  options_.events.steps = 2;
  options_.events.bins = EventBins::count;
  options_.events.pool = 17;
  options_.events.polarity = EventPolarity::merged;
  const Splits splits = open(options_, 1);
  const at::Tensor frames = splits.train->get(at::tensor({4}, at::kLong)).inputs[0];
  ASSERT_EQ(frames.sizes(), (at::IntArrayRef{2, 1, 2, 2}));
  EXPECT_TRUE(at::equal(frames.flatten(), at::tensor({1.F, 0.F, 0.F, 0.F, 0.F, 1.F, 1.F, 0.F})));
  EXPECT_THAT(
      splits.notes,
      testing::Contains(
          "events in 2 steps of the same number of events, as spikes, 17 x 17 pixels as one, without polarity"));
  options_.events.pool = 35;
  EXPECT_THAT(message(), HasSubstr("event_pool 35: expected 1 ... 34"));
}

TEST(Events, NmnistTimesContinueAfterAnOverflow) {
  const auto events = nmnist_events(event(1, 2, 1, 100) + event(0, 240, 0, 0) + event(3, 4, 0, 5), "f");
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].time, 8192 + 5);
}

std::string number(std::uint32_t value, bool little) {
  std::string bytes = big_endian(value);
  if (little) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

TEST(Events, Aedat2IsTurnedUpright) {
  const std::string header = "#!AER-DAT2.0\r\n# a comment\r\n";
  const std::uint32_t address = 20U << 8 | 10U << 1 | 1U;  // bit 0: darker
  const std::string bytes = header + number(address, false) + number(1000, false) + number(0x8000, false) +
                            number(1500, false) + number(0, false) + number(3000, false);
  const auto events = aedat2_events(bytes, "f");
  ASSERT_EQ(events.size(), 2U);  // the second is no pixel
  EXPECT_EQ((std::vector<std::int64_t>{events[0].time, events[0].row, events[0].column, events[0].polarity}),
            (std::vector<std::int64_t>{0, 127 - 10, 127 - 20, 0}));
  EXPECT_EQ((std::vector<std::int64_t>{events[1].time, events[1].row, events[1].column, events[1].polarity}),
            (std::vector<std::int64_t>{2000, 127, 127, 1}));
  EXPECT_THAT(refusal([&] { aedat2_events(bytes.substr(0, bytes.size() - 1), "f"); }),
              HasSubstr("f: 23 bytes after the header"));
  EXPECT_THAT(refusal([&] { aedat2_events("#!AER-DAT3.1\r\n", "f"); }),
              HasSubstr("the first line is '#!AER-DAT3.1', expected '#!AER-DAT2.0'"));
}

/// A packet of AEDAT 3.1 with events {time, column, row, polarity, valid}.
std::string packet(const std::vector<std::array<std::uint32_t, 5>>& events, std::uint32_t overflow = 0,
                   std::uint32_t type = 1) {
  const auto count = static_cast<std::uint32_t>(events.size());
  std::string bytes = number(type | 1U << 16, true);  // the source is in the upper half
  for (const std::uint32_t field : {8U, 4U, overflow, count, count, count}) bytes += number(field, true);
  for (const auto& [time, column, row, polarity, valid] : events)
    bytes += number(column << 17 | row << 2 | polarity << 1 | valid, true) + number(time, true);
  return bytes;
}

/// A small DVS128 Gesture in a folder.
class Gesture : public testing::Test {
 protected:
  void SetUp() override {
    const std::string header = "#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n";
    recording_ = header + packet({{100, 1, 2, 1, 1}, {150, 3, 4, 0, 1}}) + packet({{0, 0, 0, 0, 0}}, 0, 0) +
                 packet({{200, 5, 6, 1, 1}, {210, 7, 8, 1, 0}, {299, 9, 10, 0, 1}}) + packet({{300, 127, 127, 1, 1}});
    put("user01_led.aedat", recording_);
    put("user02_led.aedat", recording_);
    put("user01_led_labels.csv", "class,startTime_usec,endTime_usec\n1,100,200\n11,200,300\n");
    put("user02_led_labels.csv", "class,startTime_usec,endTime_usec\r\n3,120,301\r\n");
    put("trials_to_train.txt", "user01_led.aedat\n");
    put("trials_to_test.txt", "user02_led.aedat\n\n");
    options_.data = "dvs-gesture";
    options_.data_dir = folder_.path().string();
    options_.validation_split = 0;
    options_.events.steps = 1;
    options_.events.values = EventValues::counts;
  }
  void put(const std::string& name, const std::string& bytes) {
    write_file(folder_.path() / "DvsGesture" / name, bytes);
  }
  std::string message() {
    return refusal([&] { open(options_, 1); });
  }
  TemporaryFolder folder_;
  Options options_;
  std::string recording_;
};

TEST_F(Gesture, ReadsOneRecordingPerGesture) {
  const Splits splits = open(options_, 1);
  EXPECT_TRUE(at::equal(splits.train->targets(), at::tensor({0, 10}, at::kLong)));
  EXPECT_TRUE(at::equal(splits.test->targets(), at::tensor({2}, at::kLong)));
  const at::Tensor train = all_inputs(*splits.train), test = all_inputs(*splits.test);
  ASSERT_EQ(train.sizes(), (at::IntArrayRef{2, 1, 2, 128, 128}));
  EXPECT_EQ(train[0].sum().item<int>(), 2);
  EXPECT_EQ(train[0][0][1][2][1].item<int>(), 1);
  EXPECT_EQ(train[1].sum().item<int>(), 2);  // one event is not valid
  EXPECT_EQ(train[1][0][0][10][9].item<int>(), 1);
  EXPECT_EQ(test[0].sum().item<int>(), 4);
  EXPECT_EQ(test[0][0][1][127][127].item<int>(), 1);
}

TEST_F(Gesture, ErrorsNameTheFileAndThePlace) {
  put("user01_led_labels.csv", "class,startTime_usec,endTime_usec\n1,100,200\n12,200,300\n");
  EXPECT_THAT(message(), HasSubstr("user01_led_labels.csv:3: '12,200,300', expected class (1 ... 11)"));
  put("user01_led_labels.csv", "class,startTime_usec,endTime_usec\n1,400,500\n");
  EXPECT_THAT(message(), HasSubstr("user01_led.aedat: no events from 400 to 500 microseconds"));
  put("user01_led.aedat", recording_.substr(0, recording_.size() - 1));
  EXPECT_THAT(message(), HasSubstr("user01_led.aedat: the packet at byte"));
}

/// Writes spikes as the Heidelberg data sets have them: times as half precision in lists, words of fixed length.
void write_spikes(const std::filesystem::path& path, const std::vector<std::vector<float>>& times,
                  const std::vector<std::vector<std::uint16_t>>& units, const std::vector<std::uint16_t>& labels) {
  std::filesystem::create_directories(path.parent_path());
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t group = H5Gcreate2(file, "spikes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t extra = H5Gcreate2(file, "extra", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const auto write = [](hid_t in, const char* name, hid_t type, hid_t memory, hsize_t count, const void* data) {
    const hid_t space = H5Screate_simple(1, &count, nullptr);
    const hid_t set = H5Dcreate2(in, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), 0);
    H5Dclose(set);
    H5Sclose(space);
  };
  std::vector<hvl_t> lists;
  for (const auto& list : times) lists.push_back({list.size(), const_cast<float*>(list.data())});  // NOLINT
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);  // 1 bit, 5 bits of exponent, 10 of fraction
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  write(group, "times", H5Tvlen_create(half), H5Tvlen_create(H5T_NATIVE_FLOAT), lists.size(), lists.data());
  lists.clear();
  for (const auto& list : units) lists.push_back({list.size(), const_cast<std::uint16_t*>(list.data())});  // NOLINT
  write(group, "units", H5Tvlen_create(H5T_STD_U16LE), H5Tvlen_create(H5T_NATIVE_UINT16), lists.size(), lists.data());
  write(file, "labels", H5T_STD_U16LE, H5T_NATIVE_UINT16, labels.size(), labels.data());
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, 4);
  write(extra, "keys", text, text, 3, "zeroone\0two");
  for (const hid_t id : {group, extra}) H5Gclose(id);
  H5Fclose(file);
}

TEST(Heidelberg, ReadsSpikesFromHdf5) {
  const TemporaryFolder folder;
  write_spikes(folder.path() / "shd" / "shd_train.h5", {{0, 0.5, 0.25}, {}}, {{0, 699, 350}, {}}, {2, 0});
  write_spikes(folder.path() / "shd" / "shd_test.h5", {{0.125}}, {{7}}, {1});
  Options options;
  options.data = "shd";
  options.data_dir = folder.path().string();
  options.validation_split = 0;
  options.events.steps = 4;
  options.events.pool = 10;
  const Splits splits = open(options, 1);
  EXPECT_THAT(splits.info.classes, testing::ElementsAre("zero", "one", "two"));
  EXPECT_TRUE(at::equal(splits.train->targets(), at::tensor({2, 0}, at::kLong)));
  const at::Tensor frames = all_inputs(*splits.train);
  ASSERT_EQ(frames.sizes(), (at::IntArrayRef{2, 4, 70}));
  EXPECT_EQ(frames[0].sum().item<int>(), 3);
  EXPECT_EQ(frames[0][0][0].item<int>(), 1);
  EXPECT_EQ(frames[0][1][35].item<int>(), 1);
  EXPECT_EQ(frames[0][3][69].item<int>(), 1);
  EXPECT_EQ(frames[1].sum().item<int>(), 0);  // a recording without spikes
  const TemporaryFolder other;                // HDF5 does not write to a file that is open
  options.data_dir = other.path().string();
  write_spikes(other.path() / "shd" / "shd_train.h5", {{0.125}}, {{7}}, {1});
  write_spikes(other.path() / "shd" / "shd_test.h5", {{0.125}}, {{700}}, {1});
  EXPECT_THAT(refusal([&] { all_inputs(*open(options, 1).test); }),
              AllOf(HasSubstr("shd_test.h5: cannot use recording 0: unit 700"), HasSubstr("0 ... 699")));
  write_file(other.path() / "shd" / "shd_test.h5", "not HDF5");
  EXPECT_THAT(refusal([&] { open(options, 1); }), HasSubstr("shd_test.h5: cannot open it as HDF5"));
}

TEST(Cifar10Dvs, ReadsOneFolderPerClass) {
  const TemporaryFolder folder;
  const std::string recording = "#!AER-DAT2.0\r\n" + number(0, false) + number(10, false);
  for (const char* name : {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"})
    for (int i = 0; i < 2; ++i)
      write_file(folder.path() / "cifar10-dvs" / name / fmt::format("cifar10_{}_{}.aedat", name, i), recording);
  Options options;
  options.data = "cifar10-dvs";
  options.data_dir = folder.path().string();
  options.events.pool = 4;
  const Splits splits = open(options, 1);
  EXPECT_EQ(splits.info.input_shape, (std::vector<std::int64_t>{2, 32, 32}));
  EXPECT_EQ(splits.train->size() + splits.validation->size() + splits.test->size(), 20);
  EXPECT_EQ(all_inputs(*splits.test)[0][0][1][31][31].item<int>(), 1);
}

}  // namespace
}  // namespace grapes::data
