package org.edgeslm.probe;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.Charset;

/** Plain files of the Linux kernel under a root folder. Much of it Android keeps from apps: that is null here. */
final class LinuxFiles {
    /** No file that is read here is longer; a sensor that never ends is cut. */
    private static final int MOST = 1 << 20;

    private final File root;

    LinuxFiles(File root) {
        this.root = root;
    }

    /** A file's text without space around it; null where it is empty, not there, or not for us. */
    String text(String path) {
        try {
            InputStream source = new FileInputStream(new File(root, path));
            try {
                ByteArrayOutputStream content = new ByteArrayOutputStream();
                byte[] block = new byte[4096];
                for (int count = source.read(block); count > 0 && content.size() < MOST; count = source.read(block)) {
                    content.write(block, 0, count);
                }
                String text = new String(content.toByteArray(), Charset.forName("UTF-8")).trim();
                return text.isEmpty() ? null : text;
            } finally {
                source.close();
            }
        } catch (IOException error) {
            return null;
        }
    }

    /** A file that holds one number. */
    Double number(String path) {
        String text = text(path);
        try {
            return text == null ? null : Double.valueOf(text);
        } catch (NumberFormatException error) {
            return null;
        }
    }

    /** Bytes of a line like "VmRSS:   1234 kB". */
    Long kibibytes(String path, String name) {
        String value = field(text(path), name);
        if (value == null) {
            return null;
        }
        int end = value.indexOf(' ');
        try {
            return Long.parseLong(end < 0 ? value : value.substring(0, end)) * 1024;
        } catch (NumberFormatException error) {
            return null;
        }
    }

    /** Names in a folder, in no order; none where it is not there. */
    String[] names(String folder) {
        String[] found = new File(root, folder).list();
        return found == null ? new String[0] : found;
    }

    /** The value of the first line "name : value" of {@code text}; null where there is none. */
    static String field(String text, String name) {
        if (text == null) {
            return null;
        }
        for (String line : text.split("\n")) {
            int colon = line.indexOf(':');
            if (colon > 0 && line.substring(0, colon).trim().equals(name)) {
                String value = line.substring(colon + 1).trim();
                if (!value.isEmpty()) {
                    return value;
                }
            }
        }
        return null;
    }
}
