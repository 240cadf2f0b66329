package org.edgeslm;

import java.io.File;
import java.io.FileOutputStream;
import java.lang.ref.WeakReference;
import java.nio.file.Files;
import java.util.Arrays;

/** Models that are opened, and assets that are not what they should be. */
final class OpeningCases extends Cases {
    OpeningCases(String[] arguments) {
        super(arguments);
    }

    void openedThroughAContextNothingOfItIsKept() throws Exception {
        File folder = new File(work, "app");
        AppContext context = new AppContext(assets, folder);
        EdgeSlm slm = EdgeSlm.open(context, generator);
        WeakReference<AppContext> held = new WeakReference<>(context);
        context = null;
        check(isGone(held), "the Context is still held");
        slm.close();
        String[] copies = new File(folder, "nobackup/edgeslm").list();
        check(copies.length == 1 && copies[0].length() == 64 + ".tflite".length(), Arrays.toString(copies));
        // Another model's weights are taken without a word: the digest in their name keeps them apart.
        String[] weights = new File(folder, "cache/edgeslm").list();
        check(Arrays.equals(weights, new String[] {copies[0].replace(".tflite", ".xnnpack")}), Arrays.toString(weights));
    }

    void assetMissing() throws Exception {
        try {
            open("nothing");
            throw new AssertionError("it opened");
        } catch (AssetMissingException expected) {
            check(expected.getAsset().equals("edgeslm/nothing/model.properties"), expected);
        }
        File copy = copied("missing", generator);
        check(new File(copy, "edgeslm/" + generator + "/model.tflite").delete(), "delete");
        try {
            open(copy, generator, new File(work, "empty")).close();
            throw new AssertionError("it opened");
        } catch (AssetMissingException expected) {
            check(expected.getAsset().endsWith("model.tflite"), expected);
        }
    }

    void assetTampered() throws Exception {
        for (String name : new String[] {"model.tflite", "tokenizer.edgetok"}) {
            File copy = copied("tampered-" + name, generator);
            File kept = new File(work, "tampered-kept-" + name);
            flip(new File(copy, "edgeslm/" + generator + "/" + name));
            try {
                open(copy, generator, kept).close();
                throw new AssertionError("it opened");
            } catch (AssetTamperedException expected) {
                check(expected.getAsset().endsWith(name), expected);
                check(expected.getExpectedDigest().length() == 64, expected);
                check(!expected.getFoundDigest().equals(expected.getExpectedDigest()), expected);
                check(expected.getMessage().contains(expected.getFoundDigest()), expected);
            }
            String[] left = new File(kept, "kept").list();
            check(left == null || left.length == 0, "left behind: " + Arrays.toString(left));
        }
    }

    void copyThatRottedIsMadeAnew() throws Exception {
        File folder = new File(work, "rotted");
        open(assets, generator, folder).close();
        awaitEnd();
        File[] copies = new File(folder, "kept").listFiles();
        check(copies.length == 1, copies.length);
        flip(copies[0]);
        try (EdgeSlm slm = open(assets, generator, folder)) {
            check(slm.generate("Once", options().maxTokens(3), new Heard()).await().getGeneratedTokens() == 3, "3");
        }
    }

    void copiesOfEarlierModelsGo() throws Exception {
        File folder = new File(work, "earlier");
        check(new File(folder, "kept").mkdirs(), "mkdirs");
        new FileOutputStream(new File(folder, "kept/0123.tflite")).close();
        open(assets, generator, folder).close();
        check(new File(folder, "kept").list().length == 1, "the old copy is there");
    }

    void descriptionIncompleteOrNewer() throws Exception {
        for (String[] change : new String[][] {{"format=1", "format=2", "format 2"}, {"task=", "tusk=", "entry task"}}) {
            File copy = copied("described-" + change[1].charAt(0), generator);
            File file = new File(copy, "edgeslm/" + generator + "/model.properties");
            byte[] content = Files.readAllBytes(file.toPath());
            String text = new String(content, "ISO-8859-1").replace("\n" + change[0], "\n" + change[1]);
            Files.write(file.toPath(), text.getBytes("ISO-8859-1"));
            try {
                open(copy, generator, new File(work, "described")).close();
                throw new AssertionError("it opened");
            } catch (BadModelException expected) {
                check(expected.getMessage().contains(change[2]), expected);
            }
        }
    }
}
