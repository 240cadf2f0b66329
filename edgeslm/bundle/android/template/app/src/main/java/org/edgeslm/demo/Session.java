package org.edgeslm.demo;

import java.util.concurrent.Executor;
import org.edgeslm.EdgeSlmException;
import org.edgeslm.probe.Limit;

/**
 * What outlives the screen: the model, the answer and the probe under way. Rotation makes a new screen, which attaches
 * itself to the session that the old one left; nothing here holds a screen that is detached.
 *
 * <p>Everything is called on the main thread, and {@code main} runs there.
 */
final class Session {
    /** Shows what there is; called on the main thread while it is attached. */
    interface Screen {
        void show(State state);
    }

    private final Engine.Opener opener;
    private final Prober prober;
    private final Executor main;
    private final Executor work;

    private Screen screen;
    private Engine engine;
    private Engine.Answer answer;
    private Limit probing;
    private boolean closed;

    private State.Phase phase = State.Phase.OPENING;
    private State.Word word = State.Word.OPENING;
    private Object[] details = {};
    private final StringBuilder text = new StringBuilder();
    private String report;

    /** {@code work} runs one thing after another, off the main thread. */
    Session(Engine.Opener opener, Prober prober, Executor main, Executor work) {
        this.opener = opener;
        this.prober = prober;
        this.main = main;
        this.work = work;
        open();
    }

    /** Shows what there is, and whatever comes, on {@code screen} alone. */
    void attach(Screen screen) {
        this.screen = screen;
        screen.show(state());
    }

    /** Lets go of the screen; what is under way goes on. */
    void detach() {
        screen = null;
    }

    /** Runs the model on a text. Without a model that is ready it does nothing. */
    void run(final String prompt) {
        if (phase != State.Phase.READY) {
            return;
        }
        text.setLength(0);
        say(State.Phase.ANSWERING, State.Word.ANSWERING);
        if (!engine.speaks()) {
            work.execute(new Answering(engine, prompt));
            return;
        }
        Listening listener = new Listening();
        try {
            answer = engine.speak(prompt, listener, main);
        } catch (EdgeSlmException refused) {
            listener.failed(refused);
        }
    }

    /** Ends the answer or the probe under way. */
    void cancel() {
        if (answer != null) {
            answer.cancel();
        }
        if (probing != null) {
            probing.cancel();
        }
    }

    /** Measures, with the model to itself, and opens it again. */
    void probe(double seconds) {
        if (phase != State.Phase.READY) {
            return;
        }
        engine.close();
        engine = null;
        text.setLength(0);
        report = null;
        probing = new Limit(seconds);
        say(State.Phase.PROBING, State.Word.PROBING);
        work.execute(new Probing(probing));
    }

    /** The end: of the answer, the probe and the model. */
    void close() {
        cancel();
        detach();
        closed = true;
        if (engine != null) {
            engine.close();
            engine = null;
        }
    }

    /** What there is now. */
    State state() {
        return new State(phase, word, details, text.toString(), report);
    }

    private void open() {
        work.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        try {
                            opened(opener.open());
                        } catch (EdgeSlmException error) {
                            broke(error);
                        }
                    }
                });
    }

    private void opened(final Engine found) {
        main.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        if (closed) {
                            found.close();
                            return;
                        }
                        engine = found;
                        boolean measured = word == State.Word.PROBED || word == State.Word.FAILED;
                        if (measured) {
                            say(State.Phase.READY, word, details); // what the probe came to stays to be read
                        } else {
                            say(State.Phase.READY, State.Word.READY, found.name());
                        }
                    }
                });
    }

    private void broke(final EdgeSlmException error) {
        main.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        say(State.Phase.BROKEN, State.Word.FAILED, error.getMessage());
                    }
                });
    }

    private void say(State.Phase phase, State.Word word, Object... details) {
        this.phase = phase;
        this.word = word;
        this.details = details;
        if (screen != null) {
            screen.show(state());
        }
    }

    /** An answer that comes piece by piece. */
    private final class Listening implements Engine.Listener {
        @Override
        public void text(String piece) {
            text.append(piece);
            say(phase, word, details);
        }

        @Override
        public void done(int tokens, double tokensPerSecond, boolean cancelled) {
            answer = null;
            if (cancelled) {
                say(State.Phase.READY, State.Word.CANCELLED, tokens);
            } else {
                say(State.Phase.READY, State.Word.SPEED, tokens, tokensPerSecond);
            }
        }

        @Override
        public void failed(EdgeSlmException error) {
            answer = null;
            say(State.Phase.READY, State.Word.FAILED, error.getMessage());
        }
    }

    /** An answer that comes at once. */
    private final class Answering implements Runnable {
        private final Engine asked;
        private final String prompt;

        Answering(Engine asked, String prompt) {
            this.asked = asked;
            this.prompt = prompt;
        }

        @Override
        public void run() {
            long started = System.nanoTime();
            String found = null;
            EdgeSlmException failure = null;
            try {
                found = asked.answer(prompt);
            } catch (EdgeSlmException error) {
                failure = error;
            }
            final double milliseconds = (System.nanoTime() - started) / 1e6;
            final String told = found;
            final EdgeSlmException error = failure;
            main.execute(
                    new Runnable() {
                        @Override
                        public void run() {
                            if (error == null) {
                                text.append(told);
                                say(State.Phase.READY, State.Word.TOOK, milliseconds);
                            } else {
                                say(State.Phase.READY, State.Word.FAILED, error.getMessage());
                            }
                        }
                    });
        }
    }

    /** A probe, which tells a line for each section. */
    private final class Probing implements Runnable {
        private final Limit limit;

        Probing(Limit limit) {
            this.limit = limit;
        }

        @Override
        public void run() {
            final Prober.Outcome outcome =
                    prober.measure(
                            limit,
                            new Prober.Lines() {
                                @Override
                                public void line(final String line) {
                                    main.execute(
                                            new Runnable() {
                                                @Override
                                                public void run() {
                                                    text.append(line).append('\n');
                                                    say(phase, word, details);
                                                }
                                            });
                                }
                            });
            main.execute(
                    new Runnable() {
                        @Override
                        public void run() {
                            probing = null;
                            report = outcome.report;
                            if (outcome.problem == null) {
                                say(State.Phase.OPENING, State.Word.PROBED);
                            } else {
                                say(State.Phase.OPENING, State.Word.FAILED, outcome.problem);
                            }
                            if (!closed) {
                                open();
                            }
                        }
                    });
        }
    }
}
