#pragma once

/// Grapes, the library: error modulation by unit responsibility on LibTorch (Dellaferrera et al. 2022). What this
/// header includes is the public interface; other headers are not installed.
///
///   for a model as it is          grapes::backward(loss, *model), Modulator, LocalOptimizer
///   layers for your own model     nn::Linear, Conv2d, Recurrent, Snu, DirectFeedback
///   operations                    responsibility, factor, modulate, feedback
///   how, for all of them          Rule{.route = "fa", .modulation = "grapes", .gain = 2}
///   and for which layers          BackwardOptions().rule({.gain = 3}).exclude({"0"})
/// What cannot be throws c10::Error; c10::ValueError, which is one, where a value cannot be.
#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/backward.h"
#include "grapes/credit/local_optimizer.h"
#include "grapes/credit/rule.h"
#include "grapes/nn/eprop.h"
#include "grapes/nn/layers.h"
#include "grapes/nn/snu.h"
