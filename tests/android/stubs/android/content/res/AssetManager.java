package android.content.res;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;

/** A working fake: the assets are the files of a folder. */
public final class AssetManager implements AutoCloseable {
    public static final int ACCESS_STREAMING = 2;

    private final File folder;

    /** Not Android's: there, a Context has it. */
    public AssetManager(File folder) {
        this.folder = folder;
    }

    public InputStream open(String fileName) throws IOException {
        return new FileInputStream(file(fileName));
    }

    public InputStream open(String fileName, int accessMode) throws IOException {
        return open(fileName);
    }

    public AssetFileDescriptor openFd(String fileName) throws IOException {
        return new AssetFileDescriptor(file(fileName));
    }

    public String[] list(String path) throws IOException {
        String[] found = new File(folder, path).list();
        return found == null ? new String[0] : found;
    }

    @Override
    public void close() {}

    private File file(String name) throws IOException {
        File found = new File(folder, name);
        if (!found.isFile()) {
            throw new FileNotFoundException(name);
        }
        return found;
    }
}
