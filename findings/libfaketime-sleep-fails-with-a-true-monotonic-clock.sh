#!/usr/bin/env bash
# libfaketime 0.9.10 (Debian 12): with FAKETIME_DONT_FAKE_MONOTONIC=1 the wall clock is shifted and the monotonic clock stays,
# as its manual says; but clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME) gets its moment shifted all the same, ahead or
# behind, and answers EINVAL. Python has slept by that call since 3.11: each time.sleep() of a process with a shifted clock
# fails. Waits that take another way (a lock with a timeout) are right.
#
# Seen:
#   +1h time.sleep: OSError 22, Event.wait: as long as asked
#   -1h time.sleep: OSError 22, Event.wait: as long as asked
#   no shift time.sleep: as long as asked, Event.wait: as long as asked
#
# Expected: as long as asked, always. Exits with 1 if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get download -qq libfaketime=0.9.10-2.1 2>/dev/null && dpkg -x libfaketime_*.deb .)
library=$(find "$work" -name libfaketimeMT.so.1)
cat >"$work/waits.py" <<'PY'
import threading
import time


def asked(wait):
    began = time.monotonic()
    try:
        wait(0.5)
    except OSError as error:
        return f"OSError {error.errno}"
    return "as long as asked" if time.monotonic() - began >= 0.49 else "too short"


print(f"time.sleep: {asked(time.sleep)}, Event.wait: {asked(threading.Event().wait)}")
PY
for shift in +1h -1h; do
  echo "$shift $(LD_PRELOAD=$library FAKETIME=$shift FAKETIME_DONT_FAKE_MONOTONIC=1 python3 "$work/waits.py")"
done | tee "$work/seen"
echo "no shift $(python3 "$work/waits.py")" | tee -a "$work/seen"
diff - "$work/seen" <<'SEEN'
+1h time.sleep: OSError 22, Event.wait: as long as asked
-1h time.sleep: OSError 22, Event.wait: as long as asked
no shift time.sleep: as long as asked, Event.wait: as long as asked
SEEN
