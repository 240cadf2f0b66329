package org.edgeslm.probe;

/** How long a probe may go on: until its time is up, or until somebody cancels it, from any thread. */
public final class Limit {
    private final double seconds;
    private final long started = System.nanoTime();
    private volatile boolean cancelled;

    /** A limit that begins now. */
    public Limit(double seconds) {
        this.seconds = seconds;
    }

    /** Ends the probe before its next run. */
    public void cancel() {
        cancelled = true;
    }

    /** Between two runs: a run itself is never broken off. */
    void check() throws ProbeEndedException {
        if (cancelled) {
            throw new ProbeEndedException("the probe was cancelled", null);
        }
        if (System.nanoTime() - started > seconds * 1e9) {
            throw timeUp();
        }
    }

    /** How a probe ends whose time is up. */
    public ProbeEndedException timeUp() {
        return new ProbeEndedException(
                "the probe did not end within " + ProbeOptions.plain(seconds) + " s and was stopped",
                "--time-limit S gives it longer; --runs N and --length N make it shorter");
    }
}
