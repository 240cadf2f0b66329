package android.content.res;

import java.io.Closeable;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;

/** A working fake: a whole file. On Android it is a part of the APK, so that the offset is seldom 0. */
public class AssetFileDescriptor implements Closeable {
    public static final long UNKNOWN_LENGTH = -1;

    private final File file;
    private final FileInputStream opened;

    AssetFileDescriptor(File file) throws IOException {
        this.file = file;
        opened = new FileInputStream(file);
    }

    public FileDescriptor getFileDescriptor() {
        try {
            return opened.getFD();
        } catch (IOException closed) {
            throw new IllegalStateException(closed);
        }
    }

    public FileInputStream createInputStream() throws IOException {
        return new FileInputStream(file);
    }

    public long getStartOffset() {
        return 0;
    }

    public long getLength() {
        return file.length();
    }

    public long getDeclaredLength() {
        return file.length();
    }

    @Override
    public void close() throws IOException {
        opened.close();
    }
}
