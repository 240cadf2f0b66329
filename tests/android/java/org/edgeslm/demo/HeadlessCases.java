package org.edgeslm.demo;

import static org.edgeslm.demo.Cases.same;

import android.app.Lifecycle;
import android.content.ContextWrapper;
import android.content.Intent;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.edgeslm.probe.Computer;
import org.edgeslm.probe.FakeOpener;

/** Cases of the probe that nobody watches. */
final class HeadlessCases {
    private final File folder;

    private HeadlessCases(File folder) {
        this.folder = folder;
    }

    static void run(final String folder) throws IllegalAccessException {
        Cases.run(
                new Cases.Maker() {
                    @Override
                    public Object make() {
                        return new HeadlessCases(new File(folder));
                    }
                });
    }

    void caseHeadlessProbeWritesALineForEachSection() throws Exception {
        Endings ending = new Endings();
        File file = HeadlessProbe.file(folder, "whole-1");
        Map<String, String> asked = new HashMap<>();
        asked.put("runs", "2");
        asked.put("lengths", "16");
        new HeadlessProbe(file, new FakeOpener(), new Computer(), asked, ending).start();
        same("ended", ending.await());
        List<String> lines = lines(file);
        same(true, lines.get(0).startsWith("{\"section\": \"start\""));
        same(true, lines.get(lines.size() - 1).startsWith("{\"section\": \"end\""));
    }

    void caseHeadlessProbeRefusesWords() throws Exception {
        Endings ending = new Endings();
        File file = HeadlessProbe.file(folder, "words");
        new HeadlessProbe(
                        file, new FakeOpener(), new Computer(), Collections.singletonMap("runs", "many"), ending)
                .start();
        same("ended", ending.await());
        same(1, lines(file).size());
        same(true, lines(file).get(0).startsWith("{\"section\": \"error\", \"message\": \"the extra runs is 'many'\""));
    }

    void caseHeadlessProbeOfNativeCodeThatHangs() throws Exception {
        Endings ending = new Endings();
        File file = HeadlessProbe.file(folder, "hang");
        FakeOpener opener = new FakeOpener();
        opener.hang = new CountDownLatch(1);
        Map<String, String> asked = Collections.singletonMap("time_limit", "600");
        new HeadlessProbe(file, opener, new Computer(), asked, ending, 0.1 - 600).start(); // found to hang at 0.1 s
        same("hangs", ending.await());
        List<String> before = lines(file);
        same(true, before.get(before.size() - 1).contains("did not end within 600 s"));
        opener.hang.countDown(); // should it go on after all, it writes nothing more
        opener.done.await(5, TimeUnit.SECONDS);
        same(before, lines(file));
    }

    void caseProbeActivityOfAnAppWithoutAModel() throws Exception {
        ContextWrapper.folder = folder;
        Intent asked = new Intent(null);
        asked.putExtra("probe", "activity");
        asked.putExtra("model", "absent");
        ProbeActivity activity = Lifecycle.begin(new ProbeActivity(), asked);
        for (int round = 0; round < 1000 && !activity.isFinishing(); round++) {
            Thread.sleep(10);
        }
        same(true, activity.isFinishing());
        List<String> lines = lines(new File(folder, "probe-activity.jsonl"));
        same(3, lines.size());
        same(true, lines.get(2).contains("\"section\": \"error\""));
        same(true, lines.get(2).contains("edgeslm/absent/model.properties"));
    }

    void caseProbeActivityOfABadName() {
        ContextWrapper.folder = folder;
        Intent asked = new Intent(null);
        asked.putExtra("probe", "../elsewhere");
        same(true, Lifecycle.begin(new ProbeActivity(), asked).isFinishing());
        same(false, new File(folder.getParentFile(), "elsewhere.jsonl").exists());
    }

    void caseNamesOfFiles() throws IOException {
        same("probe-A_z-09.jsonl", HeadlessProbe.file(folder, "A_z-09").getName());
        StringBuilder longest = new StringBuilder();
        for (int place = 0; place < 65; place++) {
            longest.append('a');
        }
        for (String bad : new String[] {null, "", "../x", "a/b", "a b", "ä", "a.b", longest.toString()}) {
            try {
                HeadlessProbe.file(folder, bad);
                throw new AssertionError(bad + " was taken");
            } catch (IOException expected) {
                same(true, expected.getMessage().contains("the extra probe"));
            }
        }
    }

    private static List<String> lines(File file) throws IOException {
        return Files.readAllLines(file.toPath(), StandardCharsets.US_ASCII);
    }

    /** Which ending came. */
    private static final class Endings implements HeadlessProbe.Ending {
        private final CountDownLatch came = new CountDownLatch(1);
        private volatile String which;

        @Override
        public void ended() {
            which = "ended";
            came.countDown();
        }

        @Override
        public void hangs() {
            which = "hangs";
            came.countDown();
        }

        String await() throws InterruptedException {
            return came.await(20, TimeUnit.SECONDS) ? which : "nothing";
        }
    }
}
