package org.edgeslm.probe;

import java.util.ArrayList;
import java.util.List;
import org.edgeslm.EdgeSlmException;

/**
 * Times single runs on the monotonic clock, and notices when a clock goes backwards.
 *
 * <p>A reading that is not larger than the one before it cannot be a duration: it is counted and left out.
 */
final class Stopwatch {
    /** Where nanoseconds come from; the difference of two readings counts. */
    interface Clock {
        long nanoseconds();
    }

    /** System.nanoTime: CLOCK_MONOTONIC on Android, which no setting of the time can move. */
    static final Clock MONOTONIC =
            new Clock() {
                @Override
                public long nanoseconds() {
                    return System.nanoTime();
                }
            };

    /** Something whose time is taken. */
    interface Action {
        void run() throws EdgeSlmException;
    }

    private final Clock clock;
    private final Limit limit;
    private int discarded;

    Stopwatch(Clock clock, Limit limit) {
        this.clock = clock;
        this.limit = limit;
    }

    /** Readings that cannot be, until now. */
    int discarded() {
        return discarded;
    }

    /** Milliseconds that {@code action} took, or null where the clock says something impossible. */
    Double time(Action action) throws EdgeSlmException, ProbeEndedException {
        limit.check();
        long started = clock.nanoseconds();
        action.run();
        long passed = clock.nanoseconds() - started;
        if (passed <= 0) {
            discarded++;
            return null;
        }
        return passed / 1e6;
    }

    /** Milliseconds of each of {@code runs} runs, in order, less those that were discarded. */
    List<Double> sample(Action action, int runs) throws EdgeSlmException, ProbeEndedException {
        List<Double> taken = new ArrayList<Double>(runs);
        for (int run = 0; run < runs; run++) {
            Double passed = time(action);
            if (passed != null) {
                taken.add(passed);
            }
        }
        return taken;
    }

    /** The clock now, in nanoseconds. */
    long now() {
        return clock.nanoseconds();
    }
}
