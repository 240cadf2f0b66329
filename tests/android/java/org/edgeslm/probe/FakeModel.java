package org.edgeslm.probe;

import org.edgeslm.EdgeSlmException;

/** A working fake: takes no time but the fake clock's, and checks what a probe may ask of a model. */
final class FakeModel implements ProbedModel {
    private static final int[] LENGTHS = {16, 64, 128};
    private static final int CONTEXT = 256;

    private final FakeClock clock;
    private final boolean speaks;
    private final EdgeSlmException failure;
    private final int threads;
    private int runs;
    private boolean open = true;

    FakeModel(FakeClock clock, boolean speaks, int threads, EdgeSlmException failure) {
        this.clock = clock;
        this.speaks = speaks;
        this.threads = threads;
        this.failure = failure;
    }

    @Override
    public String id() {
        return "int8";
    }

    @Override
    public String name() {
        return "fake";
    }

    @Override
    public String scheme() {
        return "int8";
    }

    @Override
    public String sha256() {
        return "00ff";
    }

    @Override
    public String runtime() {
        return "LiteRT";
    }

    @Override
    public String runtimeVersion() {
        return null;
    }

    @Override
    public int threads() {
        return threads;
    }

    @Override
    public int vocabulary() {
        return 1000;
    }

    @Override
    public int[] ids(String text) {
        return new int[] {7, 8, 9};
    }

    @Override
    public int[] lengths() {
        return speaks ? new int[0] : LENGTHS.clone();
    }

    @Override
    public int context() {
        return speaks ? CONTEXT : 0;
    }

    @Override
    public void run(int[] ids) throws EdgeSlmException {
        require(open && !speaks);
        require(ids.length == 16 || ids.length == 64 || ids.length == 128);
        for (int id : ids) {
            require(id >= 7 && id <= 9);
        }
        if (failure != null && ++runs > 10) {
            throw failure;
        }
        clock.pass(ids.length * 10000L); // 10 µs a token
    }

    @Override
    public int answer(String text) {
        require(open && !speaks);
        clock.pass(100000000);
        return text.split(" ").length;
    }

    @Override
    public Answer begin(final int[] prompt, final boolean reuse) {
        require(open && speaks && prompt.length < CONTEXT);
        for (int id : prompt) {
            require(id >= 250 && id < 1000);
        }
        return new Answer() {
            private int entered;
            private long inside;

            @Override
            public void next() {
                require(open);
                boolean isStep = entered > 0;
                entered = isStep ? entered + 1 : prompt.length;
                require(entered < CONTEXT); // the last token's logits are never asked for
                long taken = isStep ? 2000000 : reuse ? 9000000 : prompt.length * 100000L;
                inside += taken;
                clock.pass(taken + 500000);
            }

            @Override
            public long runtimeNanoseconds() {
                return inside;
            }
        };
    }

    @Override
    public void close() {
        require(open);
        open = false;
    }

    static void require(boolean fits) {
        if (!fits) {
            throw new IllegalStateException("the probe asked what it may not");
        }
    }
}
