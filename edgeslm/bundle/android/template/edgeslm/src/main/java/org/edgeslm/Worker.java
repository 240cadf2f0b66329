package org.edgeslm;

import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadFactory;

/** The one thread that a model is run on, and the requests that wait for it. */
final class Worker {
    /** A generation's work. */
    interface Task {
        void run() throws EdgeSlmException;
    }

    private final OpenModel opened;
    private final Set<Generation> generations = new LinkedHashSet<>(); // under way or waiting
    private final ExecutorService thread;
    private boolean closed;

    Worker(OpenModel opened) {
        this.opened = opened;
        thread = Executors.newSingleThreadExecutor(
                new ThreadFactory() {
                    @Override
                    public Thread newThread(Runnable work) {
                        Thread made = new Thread(work, "edgeslm");
                        made.setDaemon(true);
                        return made;
                    }
                });
    }

    /** Have the generation computed when its turn comes. */
    synchronized void generate(final Generation generation, final Task task) throws ClosedException {
        requireOpen();
        generations.add(generation);
        thread.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        compute(generation, task);
                    }
                });
    }

    /** Carry out a task and wait for it. */
    <T> T call(final Callable<T> task) throws EdgeSlmException {
        Future<T> result;
        synchronized (this) {
            requireOpen();
            result = thread.submit(
                    new Callable<T>() {
                        @Override
                        public T call() throws Exception {
                            synchronized (Worker.this) {
                                requireOpen();
                            }
                            return task.call();
                        }
                    });
        }
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return result.get();
                } catch (InterruptedException early) { // the model cannot be stopped in the middle
                    interrupted = true;
                } catch (ExecutionException failed) {
                    throw failureOf(failed.getCause());
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** End all answers, and free the model behind what runs now. */
    synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        for (Generation generation : generations) {
            generation.close();
        }
        thread.execute(
                new Runnable() {
                    @Override
                    public void run() {
                        opened.close();
                    }
                });
        thread.shutdown();
    }

    private void compute(Generation generation, Task task) {
        try {
            if (generation.isClosed()) {
                generation.fail(new ClosedException());
            } else {
                task.run();
            }
        } catch (EdgeSlmException failed) {
            generation.fail(failed);
        } catch (RuntimeException | Error failed) {
            generation.fail(unexpected(failed));
        } finally {
            synchronized (this) {
                generations.remove(generation);
            }
        }
    }

    private void requireOpen() throws ClosedException {
        if (closed) {
            throw new ClosedException();
        }
    }

    private static EdgeSlmException failureOf(Throwable failed) {
        return failed instanceof EdgeSlmException ? (EdgeSlmException) failed : unexpected(failed);
    }

    private static RuntimeFailedException unexpected(Throwable failed) {
        return new RuntimeFailedException(
                "the model could not be run: " + failed, "where it is no lack of memory, report it", failed);
    }
}
