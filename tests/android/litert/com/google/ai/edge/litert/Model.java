package com.google.ai.edge.litert;

import android.content.res.AssetManager;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;

/** A model's file. From an asset it is copied into memory, as LiteRT does; a file is mapped. */
public final class Model extends JniHandle {
    static {
        System.loadLibrary("litert_jni");
    }

    private Model(long handle) {
        super(handle);
    }

    public static Model load(AssetManager assetManager, String assetName) throws LiteRtException {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        try (InputStream asset = assetManager.open(assetName)) {
            byte[] part = new byte[1 << 16];
            for (int count = asset.read(part); count > 0; count = asset.read(part)) {
                content.write(part, 0, count);
            }
        } catch (IOException missing) {
            throw new LiteRtException(6, "Failed to open asset.");
        }
        return new Model(nativeLoadBytes(content.toByteArray()));
    }

    public static Model load(String filePath) throws LiteRtException {
        return new Model(nativeLoadFile(filePath));
    }

    @Override
    protected void destroy() {
        nativeDestroy(handle);
    }

    private static native long nativeLoadFile(String path) throws LiteRtException;

    private static native long nativeLoadBytes(byte[] content) throws LiteRtException;

    private static native void nativeDestroy(long handle);
}
