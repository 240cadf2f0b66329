package org.edgeslm;

import java.io.File;

/**
 * The file with the weights as XNNPACK repacks them for this phone, in the app's cache folder, where the system may
 * delete it. LiteRT takes the file of another model of the same shape without a word and then computes wrong numbers,
 * so its name is the model's digest; it gets that name when it is complete.
 */
final class WeightCache {
    private static final String SUFFIX = ".xnnpack";
    private static final long STALE_MILLIS = 7L * 24 * 60 * 60 * 1000; // of those that were not used for so long

    private final File folder;
    private final File complete;
    private File writing;

    WeightCache(File folder, String digest) {
        this.folder = folder;
        complete = new File(folder, digest + SUFFIX);
    }

    /** The path for LiteRT, to read or to write; null where the folder cannot be made. */
    String begin() {
        if (complete.isFile()) {
            return complete.getPath();
        }
        if (!folder.isDirectory() && !folder.mkdirs() && !folder.isDirectory()) {
            return null;
        }
        writing = new File(folder, complete.getName() + "." + System.nanoTime());
        return writing.getPath();
    }

    /** LiteRT opened the model: it has mapped the file, which keeps under its new name what it holds. */
    void finish() {
        if (writing == null) {
            complete.setLastModified(System.currentTimeMillis());
            return;
        }
        if (!writing.renameTo(complete)) { // LiteRT wrote none, or the disk is full
            writing.delete();
        }
        writing = null;
        deleteOthers();
    }

    /** LiteRT refused the model with this file. */
    void discard() {
        complete.delete();
        if (writing != null) {
            writing.delete();
            writing = null;
        }
    }

    /** Those of earlier models, and what a killed app began; a file that is mapped stays until it is closed. */
    private void deleteOthers() {
        File[] files = folder.listFiles();
        for (File file : files == null ? new File[0] : files) {
            boolean ours = file.getName().contains(SUFFIX) && !file.equals(complete);
            if (ours && System.currentTimeMillis() - file.lastModified() > STALE_MILLIS) {
                file.delete();
            }
        }
    }
}
