package com.google.ai.edge.litert;

/** The memory of one tensor, written and read as a whole. */
public final class TensorBuffer extends JniHandle {
    static {
        System.loadLibrary("litert_jni");
    }

    TensorBuffer(long handle) {
        super(handle);
    }

    @Override
    protected void destroy() {
        nativeDestroy(handle);
    }

    public void writeInt(int[] data) throws LiteRtException {
        assertNotDestroyed();
        nativeWriteInt(handle, data);
    }

    public int[] readInt() throws LiteRtException {
        assertNotDestroyed();
        return nativeReadInt(handle);
    }

    public void writeFloat(float[] data) throws LiteRtException {
        assertNotDestroyed();
        nativeWriteFloat(handle, data);
    }

    public float[] readFloat() throws LiteRtException {
        assertNotDestroyed();
        return nativeReadFloat(handle);
    }

    public void writeInt8(byte[] data) throws LiteRtException {
        assertNotDestroyed();
        nativeWriteInt8(handle, data);
    }

    public byte[] readInt8() throws LiteRtException {
        assertNotDestroyed();
        return nativeReadInt8(handle);
    }

    public void writeBoolean(boolean[] data) throws LiteRtException {
        assertNotDestroyed();
        nativeWriteBoolean(handle, data);
    }

    public boolean[] readBoolean() throws LiteRtException {
        assertNotDestroyed();
        return nativeReadBoolean(handle);
    }

    public void writeLong(long[] data) throws LiteRtException {
        assertNotDestroyed();
        nativeWriteLong(handle, data);
    }

    public long[] readLong() throws LiteRtException {
        assertNotDestroyed();
        return nativeReadLong(handle);
    }

    private static native void nativeDestroy(long handle);

    private static native void nativeWriteInt(long handle, int[] data) throws LiteRtException;

    private static native int[] nativeReadInt(long handle) throws LiteRtException;

    private static native void nativeWriteFloat(long handle, float[] data) throws LiteRtException;

    private static native float[] nativeReadFloat(long handle) throws LiteRtException;

    private static native void nativeWriteInt8(long handle, byte[] data) throws LiteRtException;

    private static native byte[] nativeReadInt8(long handle) throws LiteRtException;

    private static native void nativeWriteBoolean(long handle, boolean[] data) throws LiteRtException;

    private static native boolean[] nativeReadBoolean(long handle) throws LiteRtException;

    private static native void nativeWriteLong(long handle, long[] data) throws LiteRtException;

    private static native long[] nativeReadLong(long handle) throws LiteRtException;
}
