package org.edgeslm.probe;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.edgeslm.EdgeSlmException;
import org.edgeslm.FakeFailure;

/** Answers a line of JSON to each line of words on stdin: one JVM for all cases of the probe's tests. */
public final class ProbeCases {
    private ProbeCases() {}

    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ", -1);
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("answer", answer(words[0], Arrays.copyOfRange(words, 1, words.length)));
            System.out.println(Json.object(answer));
        }
    }

    private static Object answer(String command, String[] words) throws IOException {
        switch (command) {
            case "text":
                return text(words);
            case "number":
                return Double.valueOf(words[0]);
            case "refuses":
                return refuses(words[0]);
            case "options":
                return options(words);
            case "machine":
                Machine machine = new Machine(new LinuxFiles(new File(words[0])), new Computer());
                return Arrays.asList(machine.describe(), machine.condition(), machine.memory());
            case "emulator":
                return AndroidPlatform.isEmulator(words[0], words[1], words[2]);
            case "probe":
                return probe(words);
            default:
                throw new IllegalArgumentException(command);
        }
    }

    /** UTF-16 units in hexadecimal. */
    private static String text(String[] units) {
        StringBuilder text = new StringBuilder();
        for (String unit : units) {
            text.append(unit.isEmpty() ? "" : String.valueOf((char) Integer.parseInt(unit, 16)));
        }
        return text.toString();
    }

    private static boolean refuses(String word) {
        Map<String, Object> fields = new HashMap<>();
        fields.put("value", word.equals("object") ? new Object() : Double.valueOf(word));
        try {
            Json.object(fields);
            return false;
        } catch (IllegalArgumentException expected) {
            return true;
        }
    }

    private static Object options(String[] words) {
        Map<String, String> asked = new HashMap<>();
        for (String word : words) {
            int sign = word.indexOf('=');
            if (sign > 0) {
                asked.put(word.substring(0, sign), word.substring(sign + 1));
            }
        }
        try {
            ProbeOptions options = ProbeOptions.parse(asked);
            return Arrays.<Object>asList(options.runs, options.threads, options.lengths, options.timeLimit);
        } catch (ProbeEndedException refused) {
            return refused.getMessage() + " -> " + refused.hint();
        }
    }

    /** Events of a probe of a fake model, and a last one with the lines that a person sees. */
    private static Object probe(String[] words) throws IOException {
        final List<String> asked = Arrays.asList(words);
        final FakeClock clock = new FakeClock();
        final List<Object> events = new ArrayList<>();
        final List<Object> seen = new ArrayList<>();
        List<Integer> lengths = new ArrayList<>();
        for (String word : words) {
            if (word.startsWith("length=")) {
                lengths.add(Integer.valueOf(word.substring(7)));
            }
        }
        final Limit limit = new Limit(asked.contains("no-time") ? 0 : 600);
        ProbeOptions options = new ProbeOptions(20, 3, lengths, 600);
        ProbedModel.Opener opener =
                new ProbedModel.Opener() {
                    @Override
                    public ProbedModel open(int threads) throws EdgeSlmException {
                        if (asked.contains("missing")) {
                            throw new FakeFailure("the asset is missing", "build it again");
                        }
                        clock.pass(asked.contains("still") ? 0 : 30000000);
                        EdgeSlmException failure = asked.contains("fails") ? new FakeFailure("it broke", "mend it") : null;
                        FakeClock used = asked.contains("still") ? new FakeClock() : clock;
                        return new FakeModel(used, asked.contains("language"), threads, failure);
                    }
                };
        Platform platform = new Computer(asked.contains("emulated"), asked.contains("hot") ? Boolean.TRUE : null);
        boolean ended =
                new Probe(opener, platform, options, limit, new File("/"), clock)
                        .run(
                                new EventSink() {
                                    @Override
                                    public void take(Event event) {
                                        events.add(event.json());
                                        String line = Summary.line(event);
                                        if (line != null) {
                                            seen.add(line);
                                        }
                                        if (asked.contains("cancelled") && event.section().equals("load")) {
                                            limit.cancel();
                                        }
                                    }
                                });
        return Arrays.<Object>asList(ended, events, seen);
    }
}
