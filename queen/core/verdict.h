#pragma once

#include "queen/core/events.h"

// What the end of a log says, as rows hold it.
namespace waggle::queen {

JobState VerdictOf(const journal::Final& final);
Receipt ReceiptOf(const journal::Final& final);
// `wall`: now, when it arrived.
LateTruth LateTruthOf(const event::LogComplete& complete, WallMillis wall);

// "phase/name" of the first failed command, fit to be shown.
std::string FailedStepOf(const journal::Final& final);

// The last record that the drone brought to a log which the queen sealed: she adds two of her own. A late log
// goes on behind it.
Seq LastBeforeSeal(const AttemptRow& attempt);

}  // namespace waggle::queen
