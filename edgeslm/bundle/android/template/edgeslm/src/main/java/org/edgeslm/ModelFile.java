package org.edgeslm;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * The model as a file of the app. LiteRT copies a model that it loads from an asset into memory that counts as the
 * app's own; a file it maps, and the system can drop those pages at any time. So the asset is copied once into a folder
 * that no backup includes, under its digest. What is opened is checked every time.
 */
final class ModelFile {
    private static final String SUFFIX = ".tflite";
    private static final int PART = 1 << 16;

    private ModelFile() {}

    /**
     * The file with the model's bytes, copied now where it is not there yet. Copies of models that the app does not
     * have any more are deleted.
     *
     * @throws AssetTamperedException where the asset is another than model.properties says
     * @throws RuntimeFailedException where there is no room for it
     */
    static File find(Assets assets, ModelProperties model, File folder) throws EdgeSlmException {
        String expected = model.text("model.sha256");
        File file = new File(folder, expected + SUFFIX);
        try {
            if (file.length() == Long.parseLong(model.text("model.bytes")) && digestOf(file).equals(expected)) {
                return file;
            }
            copy(assets, model.file("model"), expected, folder, file);
        } catch (NumberFormatException error) {
            throw new BadModelException(model.folder + "model.properties: model.bytes is no number");
        } catch (IOException error) {
            throw new RuntimeFailedException(
                    "the model cannot be copied to " + folder + ": " + error.getMessage(),
                    "it takes " + model.text("model.bytes") + " bytes: make room on the phone",
                    error);
        }
        deleteOthers(assets, folder);
        return file;
    }

    private static void copy(Assets assets, String asset, String expected, File folder, File file)
            throws EdgeSlmException, IOException {
        if (!folder.isDirectory() && !folder.mkdirs() && !folder.isDirectory()) {
            throw new IOException("the folder cannot be made");
        }
        File partial = File.createTempFile("model", ".part", folder);
        try {
            Digest digest = new Digest();
            try (InputStream from = assets.open(asset);
                    FileOutputStream to = new FileOutputStream(partial)) {
                byte[] part = new byte[PART];
                for (int count = from.read(part); count > 0; count = from.read(part)) {
                    digest.add(part, count);
                    to.write(part, 0, count);
                }
                to.getFD().sync();
            }
            String found = digest.hex();
            if (!found.equals(expected)) {
                throw new AssetTamperedException(asset, expected, found);
            }
            if (!partial.renameTo(file)) {
                throw new IOException("the copy cannot be renamed");
            }
        } finally {
            partial.delete(); // nothing is there any more where all went well
        }
    }

    private static String digestOf(File file) throws IOException {
        Digest digest = new Digest();
        try (InputStream from = new FileInputStream(file)) {
            byte[] part = new byte[PART];
            for (int count = from.read(part); count > 0; count = from.read(part)) {
                digest.add(part, count);
            }
        }
        return digest.hex();
    }

    /** A deleted file that is open stays until it is closed. */
    private static void deleteOthers(Assets assets, File folder) throws EdgeSlmException {
        StringBuilder known = new StringBuilder();
        for (String id : ModelProperties.ids(assets)) {
            known.append(ModelProperties.open(assets, id).text("model.sha256")).append(SUFFIX).append('\n');
        }
        File[] files = folder.listFiles();
        for (File file : files == null ? new File[0] : files) {
            if (file.getName().endsWith(SUFFIX) && known.indexOf(file.getName()) < 0) {
                file.delete();
            }
        }
    }
}
