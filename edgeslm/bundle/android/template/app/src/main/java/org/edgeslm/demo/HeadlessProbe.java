package org.edgeslm.demo;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.Charset;
import java.util.Map;
import org.edgeslm.probe.Event;
import org.edgeslm.probe.EventSink;
import org.edgeslm.probe.Limit;
import org.edgeslm.probe.Platform;
import org.edgeslm.probe.Probe;
import org.edgeslm.probe.ProbeEndedException;
import org.edgeslm.probe.ProbeOptions;
import org.edgeslm.probe.ProbedModel;

/** A probe that nobody watches: its events go to a file, each as soon as it is known, and it ends by itself. */
final class HeadlessProbe {
    /** What is done when it has ended. */
    interface Ending {
        /** The last line is written. */
        void ended();

        /** The last line is written, but native code goes on: only the end of the process ends it. */
        void hangs();
    }

    private static final double GRACE_SECONDS = 15;
    private static final int LONGEST_ID = 64;
    private static final Charset ASCII = Charset.forName("US-ASCII");

    private final File file;
    private final ProbedModel.Opener opener;
    private final Platform platform;
    private final Map<String, String> asked;
    private final Ending ending;
    private final double grace;
    private volatile Limit limit;
    private OutputStream lines;

    HeadlessProbe(
            File file, ProbedModel.Opener opener, Platform platform, Map<String, String> asked, Ending ending)
            throws IOException {
        this(file, opener, platform, asked, ending, GRACE_SECONDS);
    }

    HeadlessProbe(
            File file,
            ProbedModel.Opener opener,
            Platform platform,
            Map<String, String> asked,
            Ending ending,
            double grace)
            throws IOException {
        this.file = file;
        this.opener = opener;
        this.platform = platform;
        this.asked = asked;
        this.ending = ending;
        this.grace = grace;
        this.lines = new FileOutputStream(file);
    }

    /**
     * The file of the probe called {@code id}: letters, digits, - and _, at most 64.
     *
     * @throws IOException where it is called otherwise, so that no name leads out of the folder
     */
    static File file(File folder, String id) throws IOException {
        if (folder == null) {
            throw new IOException("this phone's external storage is not there");
        }
        if (id == null || id.isEmpty() || id.length() > LONGEST_ID) {
            throw new IOException("the extra probe names it: 1 to " + LONGEST_ID + " characters");
        }
        for (int place = 0; place < id.length(); place++) {
            char one = id.charAt(place);
            boolean plain = one >= 'a' && one <= 'z' || one >= 'A' && one <= 'Z' || one >= '0' && one <= '9';
            if (!plain && one != '-' && one != '_') {
                throw new IOException("the extra probe has a character that is no letter, digit, - or _");
            }
        }
        return new File(folder, "probe-" + id + ".jsonl");
    }

    /** Writes a file that holds nothing but why there is no probe. */
    static void refuse(File file, String message, String hint) throws IOException {
        OutputStream lines = new FileOutputStream(file);
        try {
            lines.write((Probe.error(message, hint).json() + "\n").getBytes(ASCII));
        } finally {
            lines.close();
        }
    }

    /** Measures on a thread of its own. */
    void start() throws IOException {
        final ProbeOptions options;
        try {
            options = ProbeOptions.parse(asked);
        } catch (ProbeEndedException refused) {
            write(Probe.error(refused.getMessage(), refused.hint()));
            close();
            ending.ended();
            return;
        }
        limit = new Limit(options.timeLimit);
        final Thread measuring =
                new Thread("edgeslm probe") {
                    @Override
                    public void run() {
                        measure(options);
                    }
                };
        measuring.start();
        Thread watching =
                new Thread("edgeslm probe's limit") {
                    @Override
                    public void run() {
                        watch(measuring, options);
                    }
                };
        watching.setDaemon(true);
        watching.start();
    }

    /** Ends it before its next run. */
    void cancel() {
        Limit begun = limit;
        if (begun != null) {
            begun.cancel();
        }
    }

    private void measure(ProbeOptions options) {
        try {
            new Probe(opener, platform, options, limit)
                    .run(
                            new EventSink() {
                                @Override
                                public void take(Event event) throws IOException {
                                    write(event);
                                }
                            });
        } catch (IOException full) {
            // No last line: whoever reads the file sees that it was cut off.
        }
        if (close()) {
            ending.ended();
        }
    }

    private void watch(Thread measuring, ProbeOptions options) {
        try {
            measuring.join((long) (1000 * (options.timeLimit + grace)));
            if (measuring.isAlive()) {
                ProbeEndedException up = limit.timeUp();
                write(Probe.error(up.getMessage(), up.hint()));
                if (close()) {
                    ending.hangs();
                }
            }
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        } catch (IOException full) {
            ending.hangs();
        }
    }

    private synchronized void write(Event event) throws IOException {
        if (lines == null) {
            throw new IOException(file + " is closed");
        }
        lines.write((event.json() + "\n").getBytes(ASCII));
        lines.flush();
    }

    /** Whether it was open until now: of the probe and its watch, one ends it. */
    private synchronized boolean close() {
        OutputStream open = lines;
        lines = null;
        try {
            if (open != null) {
                open.close();
            }
        } catch (IOException lost) {
            return true; // what was flushed is in the file
        }
        return open != null;
    }
}
