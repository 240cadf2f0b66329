package org.edgeslm.demo;

import java.util.concurrent.Executor;
import org.edgeslm.EdgeSlmException;
import org.edgeslm.FakeFailure;

/** A working fake: what it says is what the test lets it say. */
final class FakeEngine implements Engine {
    final boolean speaks;
    boolean open = true;
    int cancelled;
    Listener listener;
    private Executor callbacks;

    FakeEngine(boolean speaks) {
        this.speaks = speaks;
    }

    @Override
    public String name() {
        return "fake";
    }

    @Override
    public boolean speaks() {
        return speaks;
    }

    @Override
    public String answer(String text) throws EdgeSlmException {
        if (text.equals("fail")) {
            throw new FakeFailure("it broke", "mend it");
        }
        return "answer to " + text;
    }

    @Override
    public Answer speak(String prompt, Listener told, Executor where) {
        listener = told;
        callbacks = where;
        return new Answer() {
            @Override
            public void cancel() {
                cancelled++;
            }
        };
    }

    /** Says more, from a thread of its own, as a model does. */
    void say(final String piece) {
        final Listener hears = listener;
        callbacks.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        hears.text(piece);
                    }
                });
    }

    void end(final boolean wasCancelled) {
        final Listener hears = listener;
        callbacks.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        hears.done(3, 12.5, wasCancelled);
                    }
                });
    }

    @Override
    public void close() {
        open = false;
    }
}
