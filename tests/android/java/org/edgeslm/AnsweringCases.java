package org.edgeslm;

import android.os.Handler;
import android.os.Looper;
import java.lang.ref.WeakReference;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;

/** Answers that are cancelled, queued, closed, refused or heard elsewhere. */
final class AnsweringCases extends Cases {
    AnsweringCases(String[] arguments) {
        super(arguments);
    }

    void cancelEndsBetweenTokens() throws Exception {
        try (EdgeSlm slm = open(generator)) {
            final Heard heard = new Heard();
            heard.cancelAfterText = true;
            Generation generation = slm.generate("Once", options(), heard);
            heard.generation = generation;
            heard.begun.countDown();
            GenerateStats stats = generation.await();
            check(stats.getReason() == GenerateStats.Reason.CANCELLED, stats.getReason());
            check(stats.getGeneratedTokens() < 200, stats.getGeneratedTokens());
            heard.ended.await();
            check(heard.text.toString().equals(generation.getText()), heard.text);
            check(slm.generate("Once", options().maxTokens(3), new Heard()).await().getGeneratedTokens() == 3, "after");
        }
    }

    void cancelWhileWaiting() throws Exception {
        try (EdgeSlm slm = open(generator)) {
            Generation first = slm.generate("Once", options().maxTokens(20), new Heard());
            Generation second = slm.generate("Once", options().maxTokens(20), new Heard());
            second.cancel();
            check(first.await().getGeneratedTokens() == 20, "first");
            GenerateStats stats = second.await();
            check(stats.getReason() == GenerateStats.Reason.CANCELLED, stats.getReason());
            check(stats.getGeneratedTokens() == 0, stats.getGeneratedTokens());
        }
    }

    void twoAnswersComeInTurn() throws Exception {
        try (EdgeSlm slm = open(generator)) {
            Heard first = new Heard();
            Heard second = new Heard();
            slm.generate("Once", options().maxTokens(12), first);
            Generation last = slm.generate("Once", options().maxTokens(12), second);
            last.await();
            second.ended.await();
            check(first.ended.getCount() == 0, "the first one has not ended");
            check(first.text.length() > 0 && first.text.toString().equals(second.text.toString()), first.text);
        }
    }

    void closeEndsAnswers() throws Exception {
        EdgeSlm slm = open(generator);
        Heard first = new Heard();
        Heard second = new Heard();
        Generation running = slm.generate("Once", options().maxTokens(400), first);
        Generation waiting = slm.generate("Once", options(), second);
        first.heardText.await();
        slm.close();
        slm.close();
        for (Generation generation : new Generation[] {running, waiting}) {
            try {
                generation.await();
                throw new AssertionError("it ended by itself");
            } catch (ClosedException expected) {
                check(generation.isDone(), "not done");
            }
        }
        first.ended.await();
        second.ended.await();
        check(first.error instanceof ClosedException && second.error instanceof ClosedException, first.error);
        check(second.text.length() == 0, second.text);
        awaitEnd();
    }

    void nothingWorksAfterClose() throws Exception {
        EdgeSlm slm = open(classifier);
        slm.close();
        try {
            slm.classify("a text");
            throw new AssertionError("it classified");
        } catch (ClosedException expected) {
            check(!expected.getHint().isEmpty(), "no hint");
        }
        slm = open(generator);
        slm.close();
        try {
            slm.generate("Once", options(), new Heard());
            throw new AssertionError("it generated");
        } catch (ClosedException expected) {
            check(!expected.getHint().isEmpty(), "no hint");
        }
    }

    void wrongTask() throws Exception {
        try (EdgeSlm slm = open(classifier)) {
            try {
                slm.generate("Once", options(), new Heard());
                throw new AssertionError("it generated");
            } catch (WrongTaskException expected) {
                check(expected.getTask().equals("classification"), expected);
                check(expected.getHint().contains("classify"), expected);
            }
            try {
                slm.embed("a text");
                throw new AssertionError("it embedded");
            } catch (WrongTaskException expected) {
                check(expected.getMessage().contains("not embedding"), expected);
            }
        }
        try (EdgeSlm slm = open(generator)) {
            slm.classify("a text");
            throw new AssertionError("it classified");
        } catch (WrongTaskException expected) {
            check(expected.getHint().contains("generate"), expected);
        }
    }

    void promptTooLong() throws Exception {
        StringBuilder prompt = new StringBuilder();
        for (int i = 0; i < 600; i++) {
            prompt.append("Once ");
        }
        try (EdgeSlm slm = open(generator)) {
            Heard heard = new Heard();
            try {
                slm.generate(prompt.toString(), options(), heard).await();
                throw new AssertionError("it answered");
            } catch (PromptTooLongException expected) {
                check(expected.getRoom() == slm.getMaxTokens(), expected);
                check(expected.getTokens() >= 600, expected);
            }
            heard.ended.await();
            check(heard.error instanceof PromptTooLongException, heard.error);
            GenerateStats stats = slm.generate(
                            prompt.toString(), options().truncate(true).maxTokens(10), new Heard())
                    .await();
            check(stats.getPromptTokens() == slm.getMaxTokens() - 10, stats.getPromptTokens());
            check(stats.getGeneratedTokens() == 10, stats.getGeneratedTokens());
        }
    }

    void halfACharacter() throws Exception {
        try (EdgeSlm slm = open(generator)) {
            slm.generate("Once \ud83d", options(), new Heard()).await();
            throw new AssertionError("it answered");
        } catch (BadTextException expected) {
            check(expected.getMessage().contains("surrogate"), expected);
        }
    }

    void chatWithoutTemplate() throws Exception {
        try (EdgeSlm slm = open(generator)) {
            slm.generate("Once", options().chat(true), new Heard()).await();
            throw new AssertionError("it answered");
        } catch (BadTextException expected) {
            check(expected.getMessage().contains("no chat template"), expected);
        }
    }

    void callbacksComeOnTheMainThread() throws Exception {
        try (EdgeSlm slm = open(generator)) {
            Heard heard = new Heard();
            slm.generate("Once", new GenerateOptions().maxTokens(5), heard).await();
            heard.ended.await();
            check(heard.thread == Looper.getMainLooper().getThread(), heard.thread);
        }
    }

    void callbacksComeOnTheExecutor() throws Exception {
        final LinkedBlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();
        Executor mine = new Executor() {
            @Override
            public void execute(Runnable task) {
                tasks.add(task);
            }
        };
        try (EdgeSlm slm = open(generator)) {
            Heard heard = new Heard();
            Generation generation = slm.generate("Once", new GenerateOptions().maxTokens(8).executor(mine), heard);
            generation.await();
            check(heard.thread == null, "called elsewhere");
            while (heard.ended.getCount() > 0) {
                tasks.take().run();
            }
            check(heard.thread == Thread.currentThread(), heard.thread);
            check(heard.text.toString().equals(generation.getText()), heard.text);
            check(heard.calls == 2, heard.calls + " calls"); // what waited came as one text
        }
    }

    void blockingIsRefusedOnTheMainThread() throws Exception {
        final EdgeSlm slm = open(classifier);
        final LinkedBlockingQueue<Object> result = new LinkedBlockingQueue<>();
        new Handler(Looper.getMainLooper())
                .post(
                        new Runnable() {
                            @Override
                            public void run() {
                                try {
                                    result.add(slm.classify("a text"));
                                } catch (EdgeSlmException | IllegalStateException refused) {
                                    result.add(refused);
                                }
                            }
                        });
        Object found = result.take();
        slm.close();
        check(found instanceof IllegalStateException, found);
    }

    /** Once there is text, the answer is held up, so that it is under way for certain when the screen goes. */
    void rotationLeaksNothing() throws Exception {
        final CountDownLatch rotated = new CountDownLatch(1);
        Executor holdingUp = new Executor() {
            @Override
            public void execute(Runnable task) {
                task.run();
                try {
                    rotated.await();
                } catch (InterruptedException impossible) {
                    throw new AssertionError(impossible);
                }
            }
        };
        try (EdgeSlm slm = open(generator)) {
            Screen screen = new Screen();
            Generation generation = screen.start(slm, holdingUp);
            screen.begun.await();
            WeakReference<Screen> old = new WeakReference<>(screen);
            generation.detach();
            screen = null;
            check(isGone(old) && !generation.isDone(), "the screen is still held");
            Screen next = new Screen();
            rotated.countDown();
            generation.attach(next.callback());
            generation.await();
            next.ended.await();
            check(next.shown.toString().equals(generation.getText() + "|LENGTH"), next.shown);
            WeakReference<Screen> done = new WeakReference<>(next);
            next = null;
            check(isGone(done), "held after its end");
            Screen late = new Screen();
            generation.attach(late.callback());
            check(late.shown.toString().equals(generation.getText() + "|LENGTH"), late.shown);
        }
    }

    void callbackThatThrows() throws Exception {
        final LinkedBlockingQueue<Runnable> tasks = new LinkedBlockingQueue<>();
        Executor mine = new Executor() {
            @Override
            public void execute(Runnable task) {
                tasks.add(task);
            }
        };
        try (EdgeSlm slm = open(generator)) {
            Heard throwing = new Heard() {
                @Override
                public void onText(String more) {
                    throw new UnsupportedOperationException(more);
                }
            };
            Generation generation = slm.generate("Once", options().executor(mine), throwing);
            try {
                tasks.take().run();
                throw new AssertionError("it did not throw");
            } catch (UnsupportedOperationException expected) {
                check(!expected.getMessage().isEmpty(), expected);
            }
            check(generation.await().getReason() == GenerateStats.Reason.CANCELLED, "it went on");
            Heard next = new Heard();
            generation.attach(next);
            while (next.ended.getCount() > 0) {
                tasks.take().run();
            }
            check(next.text.toString().equals(generation.getText()), next.text);
        }
    }

    void executorThatIsGone() throws Exception {
        Executor gone = new Executor() {
            @Override
            public void execute(Runnable task) {
                throw new RejectedExecutionException();
            }
        };
        try (EdgeSlm slm = open(generator)) {
            GenerateStats stats = slm.generate("Once", new GenerateOptions().executor(gone), new Heard()).await();
            check(stats.getReason() == GenerateStats.Reason.CANCELLED, stats.getReason());
        }
    }
}
