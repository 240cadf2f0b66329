package org.edgeslm;

import android.content.res.AssetManager;
import android.os.Handler;
import android.os.Looper;
import java.io.File;
import java.io.FileOutputStream;
import java.io.PrintWriter;
import java.io.RandomAccessFile;
import java.io.StringWriter;
import java.lang.ref.WeakReference;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Comparator;
import java.util.concurrent.CountDownLatch;

/**
 * What the runtime does besides answering right. Arguments: the assets (a language model and a classifier, both tiny),
 * a folder to work in, the ids of the two. Every method of the classes below without parameters is a case; a line says
 * how each went.
 */
class Cases {
    final File assets;
    final File work;
    final String generator;
    final String classifier;

    Cases(String[] arguments) {
        assets = new File(arguments[0]);
        work = new File(arguments[1]);
        generator = arguments[2];
        classifier = arguments[3];
    }

    public static void main(String[] arguments) throws Exception {
        for (Cases cases : new Cases[] {new AnsweringCases(arguments), new OpeningCases(arguments)}) {
            Method[] methods = cases.getClass().getDeclaredMethods();
            Arrays.sort(
                    methods,
                    new Comparator<Method>() {
                        @Override
                        public int compare(Method one, Method other) {
                            return one.getName().compareTo(other.getName());
                        }
                    });
            for (Method method : methods) {
                if (method.getParameterTypes().length == 0 && !Modifier.isStatic(method.getModifiers())) {
                    System.out.println(method.getName() + "\t" + cases.run(method).replace("\n", " | "));
                }
            }
        }
    }

    private String run(Method method) throws IllegalAccessException {
        try {
            method.invoke(this);
            return "ok";
        } catch (InvocationTargetException failed) {
            StringWriter trace = new StringWriter();
            failed.getCause().printStackTrace(new PrintWriter(trace, true));
            return trace.toString();
        }
    }

    final EdgeSlm open(String id) throws EdgeSlmException {
        return open(assets, id, work);
    }

    /** {@code folder}: for the files that the app keeps. */
    static EdgeSlm open(File assets, String id, File folder) throws EdgeSlmException {
        return EdgeSlm.open(
                new AndroidAssets(new AssetManager(assets)),
                new OpenOptions().model(id).threads(1),
                new File(folder, "kept"),
                new File(folder, "cache"));
    }

    static GenerateOptions options() {
        return new GenerateOptions().maxTokens(200);
    }

    /** The assets with one model alone, to be changed. */
    final File copied(String name, String id) throws Exception {
        File to = new File(work, name);
        File folder = new File(to, "edgeslm/" + id);
        check(folder.mkdirs(), "mkdirs");
        for (File file : new File(assets, "edgeslm/" + id).listFiles()) {
            Files.copy(file.toPath(), new File(folder, file.getName()).toPath());
        }
        try (FileOutputStream out = new FileOutputStream(new File(to, "edgeslm/models.properties"))) {
            out.write(("default=" + id + "\nmodels=" + id + "\n").getBytes("US-ASCII"));
        }
        return to;
    }

    /** Another bit in the middle of a file. */
    static void flip(File file) throws Exception {
        try (RandomAccessFile content = new RandomAccessFile(file, "rw")) {
            content.seek(file.length() / 2);
            int one = content.read();
            content.seek(file.length() / 2);
            content.write(one ^ 1);
        }
    }

    /** Whether nothing holds what was referred to. */
    static boolean isGone(WeakReference<?> held) throws InterruptedException {
        for (int i = 0; i < 50 && held.get() != null; i++) {
            System.gc();
            Thread.sleep(2);
        }
        return held.get() == null;
    }

    /** Until the threads of closed models are gone. */
    static void awaitEnd() throws InterruptedException {
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().equals("edgeslm")) {
                thread.join(10000);
                check(!thread.isAlive(), "a thread stays");
            }
        }
    }

    /** Until what was posted to the main thread before is done. */
    static void awaitMain() throws InterruptedException {
        final CountDownLatch done = new CountDownLatch(1);
        new Handler(Looper.getMainLooper())
                .post(
                        new Runnable() {
                            @Override
                            public void run() {
                                done.countDown();
                            }
                        });
        done.await();
    }

    static void check(boolean holds, Object found) {
        if (!holds) {
            throw new AssertionError(String.valueOf(found));
        }
    }
}
