#pragma once

#include "grapes/nn/models.h"

#include <string>
#include <vector>

/// Layers in words, for networks that are not a row of models().
///
/// | word              | stage                                                                                     |
/// | 128               | dense layer of 128 units                                                                  |
/// | conv16            | convolution with 16 channels, 3 × 3, stride 1, padded by half of the kernel: the same size |
/// | conv16k5s2p0      | the same with kernel 5 × 5, stride 2 and padding 0                                        |
/// | max2, avg2        | pooling over windows of 2 × 2                                                             |
/// | max, avg          | pooling over the whole map                                                                |
/// | drop              | dropout, if the network has any                                                           |
/// | keep ... add      | adds the value at `keep` to that at `add`, then the activation                            |
/// | skip32k1s2p0      | between them: a convolution of the kept value, 1 × 1 unless k is given                    |
///
/// -linear after a layer or `add` leaves out its activation: conv16k1-linear.
namespace grapes::nn {

/// @return the stages without the output layer @throws UsageError with the word
Stages stages_of_words(const std::vector<std::string>& words);

/// Spiking layers in words: 128 is a dense layer, conv16k5s2p1 a convolution (also with d, dilation, and g, groups),
/// both with their neurons. avg2, sum2 and max2 pool the spikes before them, conv16-avg2 pools the current before the
/// neurons, and delay3 passes spikes on three time steps later.
/// @return the stages between the encoder and the outputs @throws UsageError with the word
Stages spiking_stages_of_words(const std::vector<std::string>& words);

/// Returns the word of a dense layer or its neurons, a convolution, a pool or a delay.
std::string spiking_word_of(const Stage& stage);

/// The inverse of stages_of_words, for stages that words can express: without time and with layers of the kind
/// "linear".
std::vector<std::string> words_of(const Stages& stages);

}  // namespace grapes::nn
