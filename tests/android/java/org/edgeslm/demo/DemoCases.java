package org.edgeslm.demo;

import static org.edgeslm.demo.Cases.same;

import android.app.Lifecycle;
import android.content.Intent;
import android.view.WindowManager;
import android.widget.TextView;
import java.lang.ref.WeakReference;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Executor;
import org.edgeslm.EdgeSlmException;
import org.edgeslm.FakeFailure;
import org.edgeslm.probe.Computer;
import org.edgeslm.probe.FakeOpener;
import org.edgeslm.probe.ProbeOptions;

/** Cases of the demo app's screen on the JVM; then those of its headless probe, whose folder is the argument. */
public final class DemoCases {
    /** The main thread: what is put here runs when the test says so. */
    private static final class Later implements Executor {
        private final ArrayDeque<Runnable> tasks = new ArrayDeque<>();

        @Override
        public void execute(Runnable task) {
            tasks.add(task);
        }

        void run() {
            while (!tasks.isEmpty()) {
                tasks.remove().run();
            }
        }
    }

    private static final String[] NAMES = {"run", "cancel", "probe", "share"};
    private static final int[] BUTTONS = {R.id.run, R.id.cancel, R.id.probe, R.id.share};

    private final Later main = new Later();
    private final Later work = new Later();
    private final List<FakeEngine> engines = new ArrayList<>();

    private DemoCases() {
        for (int button : BUTTONS) {
            Lifecycle.VIEWS.put(button, "Button");
        }
        Lifecycle.VIEWS.put(R.id.prompt, "EditText");
        Lifecycle.VIEWS.put(R.id.status, "TextView");
        Lifecycle.VIEWS.put(R.id.answer, "TextView");
    }

    public static void main(String[] arguments) throws IllegalAccessException {
        Cases.run(
                new Cases.Maker() {
                    @Override
                    public Object make() {
                        return new DemoCases();
                    }
                });
        HeadlessCases.run(arguments[0]);
    }

    void caseRotationGoesOnAndLeaksNothing() throws InterruptedException {
        Session session = opened(true);
        MainActivity first = Lifecycle.begin(new MainActivity(), session);
        type(first, "hello");
        click(first, R.id.run);
        FakeEngine engine = engines.get(0);
        engine.say("once ");
        engine.say("upon ");
        main.run();
        same("once upon ", shown(first, R.id.answer));
        same(1, ((TextView) first.findViewById(R.id.answer)).appended()); // the second piece was added, not laid out anew
        Object left = Lifecycle.rotate(first);
        WeakReference<MainActivity> gone = new WeakReference<>(first);
        first = null;
        engine.say("a "); // while no screen is there
        main.run();
        for (int round = 0; round < 50 && gone.get() != null; round++) {
            System.gc();
            Thread.sleep(10);
        }
        same(null, gone.get());
        MainActivity second = Lifecycle.begin(new MainActivity(), left);
        same("once upon a ", shown(second, R.id.answer));
        engine.say("time");
        engine.end(false);
        main.run();
        same("once upon a time", shown(second, R.id.answer));
        same(true, second.findViewById(R.id.run).isEnabled());
        same(true, engine.open);
        Lifecycle.end(second);
        same(false, engine.open);
    }

    void caseButtonsFollowWhatGoesOn() {
        Session session = begun(true);
        MainActivity screen = Lifecycle.begin(new MainActivity(), session);
        same("[]", enabled(screen));
        work.run();
        main.run();
        same("[run, probe]", enabled(screen));
        click(screen, R.id.run);
        same("[cancel]", enabled(screen));
        click(screen, R.id.cancel);
        same(1, engines.get(0).cancelled);
        engines.get(0).end(true);
        main.run();
        same("[run, probe]", enabled(screen));
        same(State.Word.CANCELLED, session.state().word);
        same(3, session.state().details[0]);
    }

    void caseSecondRunWaitsForTheFirst() {
        Session session = opened(true);
        session.run("one");
        Engine.Listener first = engines.get(0).listener;
        session.run("two");
        same(first, engines.get(0).listener);
        engines.get(0).end(false);
        main.run();
        same(State.Word.SPEED, session.state().word);
        same(12.5, session.state().details[1]);
    }

    void caseFailureOfAnAnswerIsShown() {
        Session session = opened(true);
        session.run("one");
        engines.get(0).listener.failed(new FakeFailure("too long", "shorten it"));
        same(State.Phase.READY, session.state().phase);
        same("too long", session.state().details[0]);
    }

    void caseAnswersAtOnce() {
        Session session = opened(false);
        session.run("text");
        same(State.Phase.ANSWERING, session.state().phase);
        work.run();
        main.run();
        same("answer to text", session.state().text);
        same(State.Word.TOOK, session.state().word);
        session.run("fail");
        work.run();
        main.run();
        same(State.Word.FAILED, session.state().word);
        same(State.Phase.READY, session.state().phase);
    }

    void caseModelThatCannotBeOpened() {
        Session session =
                new Session(
                        new Engine.Opener() {
                            @Override
                            public Engine open() throws EdgeSlmException {
                                throw new FakeFailure("the model was changed", "install again");
                            }
                        },
                        prober(),
                        main,
                        work);
        MainActivity screen = Lifecycle.begin(new MainActivity(), session);
        work.run();
        main.run();
        same("[]", enabled(screen));
        same(true, shown(screen, R.id.status).contains("the model was changed"));
        session.run("text"); // nothing to run
        session.probe(600);
        same(State.Phase.BROKEN, session.state().phase);
    }

    void caseEndBeforeTheModelIsOpen() {
        Session session = begun(true);
        session.close();
        work.run();
        main.run();
        same(false, engines.get(0).open);
    }

    void caseEndDuringAnAnswer() {
        Session session = opened(true);
        MainActivity screen = Lifecycle.begin(new MainActivity(), session);
        click(screen, R.id.run);
        FakeEngine engine = engines.get(0);
        Lifecycle.end(screen);
        same(1, engine.cancelled);
        same(false, engine.open);
        engine.say("too late");
        main.run();
        same("", shown(screen, R.id.answer));
    }

    void caseProbeHasTheModelToItselfAndSharesItsReport() {
        Session session = opened(true);
        MainActivity screen = Lifecycle.begin(new MainActivity(), session);
        click(screen, R.id.probe);
        same(false, engines.get(0).open);
        same(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON, Lifecycle.flags(screen));
        work.run();
        main.run();
        work.run(); // it opens the model again
        main.run();
        same(0, Lifecycle.flags(screen));
        same(2, engines.size());
        same("[run, probe, share]", enabled(screen));
        same(State.Word.PROBED, session.state().word);
        same(true, shown(screen, R.id.answer).contains("at 16 tokens: "));
        click(screen, R.id.share);
        String report = Lifecycle.started(screen).getStringExtra(Intent.EXTRA_TEXT);
        same(true, report.startsWith("{\"section\": \"start\""));
        same(true, report.trim().endsWith("}"));
        same(true, report.contains("{\"section\": \"end\""));
    }

    void caseProbeThatIsCancelled() {
        Session session = opened(true);
        session.probe(600);
        session.cancel();
        work.run();
        main.run();
        work.run();
        main.run();
        same(State.Phase.READY, session.state().phase);
        same(State.Word.FAILED, session.state().word);
        same("the probe was cancelled", session.state().details[0]);
        same(true, session.state().report.contains("\"section\": \"error\""));
    }

    private Session begun(final boolean speaks) {
        return new Session(
                new Engine.Opener() {
                    @Override
                    public Engine open() {
                        FakeEngine engine = new FakeEngine(speaks);
                        engines.add(engine);
                        return engine;
                    }
                },
                prober(),
                main,
                work);
    }

    private Session opened(boolean speaks) {
        Session session = begun(speaks);
        work.run();
        main.run();
        same(State.Phase.READY, session.state().phase);
        return session;
    }

    private static Prober prober() {
        return new Prober(
                new FakeOpener(), new Computer(), new ProbeOptions(2, 1, Collections.singletonList(16), 600));
    }

    private static void type(MainActivity screen, String text) {
        ((TextView) screen.findViewById(R.id.prompt)).setText(text);
    }

    private static void click(MainActivity screen, int id) {
        same(true, screen.findViewById(id).isEnabled());
        screen.findViewById(id).performClick();
    }

    private static String shown(MainActivity screen, int id) {
        return ((TextView) screen.findViewById(id)).getText().toString();
    }

    private static String enabled(MainActivity screen) {
        List<String> names = new ArrayList<>();
        for (int button = 0; button < BUTTONS.length; button++) {
            if (screen.findViewById(BUTTONS[button]).isEnabled()) {
                names.add(NAMES[button]);
            }
        }
        return names.toString();
    }
}
