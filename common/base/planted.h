#pragma once

// Bugs on purpose. tests/sim builds variants of the core with one of them each and fails when the simulation
// does not find it: a test of the test. A product build has none: every Is() below is a constant false there.
namespace waggle::planted {

#ifndef WAGGLE_PLANTED_BUG
#define WAGGLE_PLANTED_BUG 0
#endif

enum Bug {
  kStrangerWrites = 1,       // any session may write any log
  kAckBeforeSync = 2,        // records are acknowledged when they are written
  kEpochNotStored = 3,       // the counter of epochs is forgotten by a restart
  kLeaseFromReply = 5,       // the drone counts its lease from the answer, not from what was answered
  kResumeFromSent = 6,       // after a cut of bulk, records on their way count as arrived
  kKeyOnlyInStore = 7,       // a repeat is only looked for among what is stored
  kLostOnDisconnect = 8,     // the lease is not waited for
  kDrainLeavesWork = 9,      // a drained drone leaves with what it holds
  kPassedWithoutLog = 10,    // the drone's word is the verdict
  kBranchFreedByLoss = 11,   // the next run of a branch starts when a drone is lost, not when its job ends
  kDeployRepeated = 12,      // a granted deploy is queued again like a test
  kWatcherSkips = 13,        // a watcher that is behind jumps to the end
  kRepeatStored = 14,        // a record that is there already is stored again
  kSlotNotReturned = 15,     // of an attempt that is not its job's first
  kCancelNotSaidAgain = 16,  // a drone that was away is not told of a cancel
  kOldAttemptDecides = 17,   // the late end of an attempt that was given up is the verdict of the job
  kFailedSyncIgnored = 18,   // acknowledged although the disk said no
  kBadRowStopsLoad = 19,     // one row that cannot be decoded and the queen does not start
  kOldSessionHeard = 21,     // a newer session of a drone does not depose the old one
  kEpochNotLearnt = 22,      // a queen from a backup gives epochs once more that drones have seen
  kSaidWithoutSpace = 24,    // what could not be stored for want of space is said nevertheless
  kOneOffsetCounter = 25,    // stdout and stderr share one
  kStarvedStateKept = 30,    // records that found no space count in the digest
  kStarvedForgotten = 31,    // nobody asks for records that found no space
  kDrainedPlaced = 32,       // a drone that the queen drains gets work
};

consteval bool Is(Bug bug) {
  return bug == WAGGLE_PLANTED_BUG;
}

}  // namespace waggle::planted
