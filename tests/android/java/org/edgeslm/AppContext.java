package org.edgeslm;

import android.content.Context;
import android.content.res.AssetManager;
import android.os.Looper;
import java.io.File;

/** An app's Context over folders. */
final class AppContext extends Context {
    private final byte[] memory = new byte[1 << 20];
    private final AssetManager manager;
    private final File folder;

    AppContext(File assets, File folder) {
        manager = new AssetManager(assets);
        this.folder = folder;
    }

    @Override
    public AssetManager getAssets() {
        return manager;
    }

    @Override
    public Context getApplicationContext() {
        return this;
    }

    @Override
    public Looper getMainLooper() {
        return Looper.getMainLooper();
    }

    @Override
    public File getFilesDir() {
        return new File(folder, "files");
    }

    @Override
    public File getNoBackupFilesDir() {
        return new File(folder, "nobackup");
    }

    @Override
    public File getCacheDir() {
        return new File(folder, "cache");
    }

    @Override
    public File getExternalFilesDir(String type) {
        return new File(folder, "external");
    }

    @Override
    public String getPackageName() {
        return "org.example" + memory.length;
    }
}
