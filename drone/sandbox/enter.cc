#include "drone/sandbox/enter.h"

#include <linux/keyctl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace waggle::sandbox {

bool Join(const Entry& entry) {
  if (entry.holder < 0) return true;
  // The job's processes in there may have our user: nobody shall look into a process that is not yet one.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  return ::setns(entry.holder, entry.namespaces) == 0;
}

// Raw calls: those of glibc would tell the threads of this process, whose memory may be its parent's.
bool Become(const Entry& entry) {
  ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING,
            nullptr);  // keys of the drone's session are not the job's
  if (entry.user) {
    const uid_t user = *entry.user;
    if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::syscall(SYS_setresgid, user, user, user) != 0 ||
        ::syscall(SYS_setresuid, user, user, user) != 0) {
      return false;
    }
  }
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

}  // namespace waggle::sandbox
