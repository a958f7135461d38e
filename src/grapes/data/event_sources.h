#pragma once

#include "grapes/data/collection.h"

/// The readers of named sources of events. All read recordings as sequences of frames (see recordings()).
/// @throws UsageError for a setting of EventOptions, DataError that names the file
namespace grapes::data {

/// N-MNIST (Orchard et al. 2015): digits in front of an event camera of 34 x 34 pixels; Train/0/00002.bin ...,
/// Test/0/....
Collection read_nmnist(const SourceFiles& files);

/// CIFAR10-DVS (Li et al. 2017): pictures in front of a camera of 128 x 128 pixels, in AEDAT 2.0; a folder per class.
Collection read_cifar10_dvs(const SourceFiles& files);

/// DVS128 Gesture (Amir et al. 2017): gestures in front of a camera of 128 x 128 pixels, in AEDAT 3.1. A file has one
/// person; NAME_labels.csv says when each gesture begins and ends; trials_to_train.txt and trials_to_test.txt list the
/// files.
Collection read_dvs_gesture(const SourceFiles& files);

/// Spiking Heidelberg Digits and Spiking Speech Commands (Cramer et al. 2020): spoken words as spikes of 700 channels,
/// in HDF5: spikes/times (seconds), spikes/units, labels, extra/keys. Files: train, test, and for SSC valid between
/// them.
Collection read_heidelberg(const SourceFiles& files);

}  // namespace grapes::data
